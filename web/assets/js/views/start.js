// The first minute: from an empty plan to armed machines, a step at a time.
import * as api from '../lib/api.js';
import {coded, fill, h, setText} from '../lib/dom.js';
import {actButton, commandLine, errorBox} from '../lib/dialog.js';
import {followed, t} from '../lib/i18n.js';
import {modeName} from '../lib/names.js';
import {lookingOn, mayAct} from '../lib/session.js';
import {said} from '../lib/said.js';
import {choice, field} from '../actions/form.js';
import {command} from '../actions/shell.js';
import {installDialog} from '../actions/install.js';
import {base64} from './plan.js';
import {dropZone} from './drop.js';
import {uploadBox} from './images.js';
import {sheetReport} from './sheet.js';

/** @param {import('../main.js').App} app */
export function startView(app) {
  if (!mayAct()) return {title: t('start.title'), element: h('div.page', null, h('h1', null, t('start.title')), h('p.lead', null, t('start.about')), lookingOn()), close() {}};
  const {store} = app;
  const upload = uploadBox(() => store.refreshStatus());
  const steps = [wireStep(app), step(t('start.iso'), upload.element), sheetStep(app), checkStep(app), armStep(app)];
  const element = h('div.page', null, h('h1', null, t('start.title')), h('p.lead', null, t('start.about')), h('ol.steps', null, steps.map((s) => s.element)));

  function update() {
    const s = store.status;
    if (!s) return;
    const machines = [...store.nodes.values()].filter((m) => m.state !== 'seen');
    steps[0].done(Boolean(s.serving?.interfaces?.length) && !s.serving.note);
    steps[1].done(s.images > 0);
    steps[2].done(machines.length > 0);
    steps[3].done(Boolean(s.plan_digest) && machines.length > 0);
    steps[4].done(machines.some((m) => m.state !== 'planned'));
    steps[0].show?.(s);
  }
  const unsubscribe = store.subscribe((change) => {
    if (change.events.some((e) => e.kind === 'image-added' || e.kind === 'plan-applied')) store.refreshStatus().catch(() => {});
    if (change.connection || change.all || change.names.size) update();
  });
  update();
  return {title: t('start.title'), element, close() { unsubscribe(); upload.close(); }};
}

function step(title, ...content) {
  const tick = h('span.tick');
  const element = h('li', null, h('h2', null, title, ' ', tick), h('div', null, content));
  return {element, done(yes) {
    element.classList.toggle('done', yes);
    setText(tick, yes ? t('start.done') : '');
  }};
}

/** Which wire, and what doctor found on it. */
function wireStep() {
  const serving = h('p');
  const found = h('div', {role: 'status'});
  const box = errorBox();
  let wires = choice([['', t('start.anywire')]], '');
  const place = h('div', null, field(t('start.wire'), wires));
  const line = h('div');
  const look = actButton(t('start.look'), async () => {
    fill(found, h('p', null, t('start.looking')));
    const {findings} = await api.doctor({interface: wires.value, search: Boolean(wires.value)});
    fill(found, report(findings));
  }, {box});
  const serve = actButton(t('start.serve'), async () => {
    await api.chooseWire(wires.value);
    fill(found, h('p.good', null, t('start.restart')));
  }, {kind: 'plain', box});
  const s = step(t('start.wirestep'), serving, place, h('div.buttons', null, look, serve), box, found, line);
  let known = '';
  s.show = (status) => {
    serve.hidden = !status.serving?.waiting;
    const list = status.serving?.links || [];
    serving.hidden = Boolean(status.serving?.note); // the banner says it
    setText(serving, t('start.serving', {mode: modeName(status.serving?.dhcp) || '–', on: (status.serving?.interfaces || []).join(', ') || '–'}));
    if (JSON.stringify(list) === known) return;
    known = JSON.stringify(list);
    const served = status.serving?.interfaces?.[0] || '';
    wires = choice([['', t('start.anywire')], ...list.map((l) => [l.name, [l.name, ...(l.addresses || []), l.up ? '' : t('start.down')].filter(Boolean).join(' · ')])], list.some((l) => l.name === served) ? served : '', update);
    fill(place, field(t('start.wire'), wires));
    update();
  };
  function update() {
    fill(line, commandLine(command('doctor', wires.value && `--interface ${wires.value}`), command('serve', `--interface ${wires.value || 'NAME'}`)));
  }
  update();
  return s;
}

const gravity = ['fail', 'warn', 'ok'];

/** What is in the way stands first. */
const report = (findings) => h('ul.findings', null, [...findings].sort((a, b) => gravity.indexOf(a.status) - gravity.indexOf(b.status)).map((f) => h('li', {data: {severity: {ok: 'ok', warn: 'warning', fail: 'error'}[f.status] || f.status}},
  h('strong', null, followed(t(`doctor.${f.status}`))), said(f.what), f.status === 'ok' ? null : [f.why ? h('p', null, said(f.why)) : null, f.fix ? h('p.fix', null, h('strong', null, followed(t('batch.fix'))), coded(said(f.fix))) : null])));

function sheetStep(app) {
  const shown = h('div');
  const take = async (file, decided = {}) => {
    const result = await api.importSheet({name: file.name, sheet: await base64(file), plan: await api.plan(), ...decided});
    result.asked = decided;
    fill(shown, sheetReport(file.name, result, async () => {
      sessionStorage.setItem('rackseed.draft', result.text);
      app.router.go('/plan');
    }, (more) => take(file, more)));
  };
  return step(t('start.sheet'), h('p', null, t('start.sheetabout')), dropZone(t('plan.sheet'), '.xlsx,.csv', (file) => take(file)), shown, h('p', null, h('a', {href: '/plan'}, t('start.write'))));
}

function checkStep() {
  return step(t('start.check'), h('p', null, t('start.checkabout')), h('p', null, h('a', {href: '/plan'}, t('start.open'))), commandLine(command('plan', 'check', 'plan.yaml')));
}

function armStep(app) {
  return step(t('start.arm'), h('p', null, t('start.armabout')), h('div.buttons', null, h('button.primary', {type: 'button', onclick: () => installDialog(app, 'all')}, t('action.install'))), commandLine(command('install', 'all', '--canary 1')));
}
