// Power, boot device, disarm: short forms over one request each.
import * as api from '../lib/api.js';
import {announce, fill, h} from '../lib/dom.js';
import {actButton, commandLine, errorBox, openDialog} from '../lib/dialog.js';
import {t} from '../lib/i18n.js';
import {amount, amountOf, by, check, choice, field, person} from './form.js';
import {command, quote} from './shell.js';

const second = 1e9; // nanoseconds, in which the API counts

/** @param {import('../main.js').App} app @param {string} selector */
export function powerDialog(app, selector) {
  openDialog(t('action.power'), (close) => {
    const action = choice(['status', 'on', 'soft', 'off', 'cycle', 'reset'].map((a) => [a, t(`power.${a}`)]), 'status', update);
    const parallel = amount(1);
    const stagger = amount(0);
    const force = check(t('action.force'), false, update);
    for (const input of [parallel, stagger]) input.addEventListener('input', update);
    const line = h('div');
    const box = errorBox();
    function update() {
      fill(line, commandLine(command('power', action.value, quote(selector), parallel.value && `--parallel ${parallel.value}`,
        stagger.value && `--stagger ${stagger.value}s`, force.input.checked && '--force')));
    }
    update();
    return [h('p', null, t('action.on', {selector})), field(t('power.what'), action),
      h('div.fields', null, field(t('install.parallel'), parallel), field(t('power.stagger'), stagger)), force.element, person(), line, box,
      buttons(close, actButton(t('action.do'), () => startJob(app, close, {verb: 'power', args: [action.value], selector, force: force.input.checked || undefined,
        options: {parallel: amountOf(parallel), stagger: amountOf(stagger) && amountOf(stagger) * second}}), {box}))];
  });
}

/** @param {import('../main.js').App} app @param {string} selector */
export function bootDialog(app, selector) {
  openDialog(t('action.boot'), (close) => {
    const device = choice(['pxe', 'http', 'disk', 'cd', 'bios'].map((d) => [d, t(`boot.${d}`)]), 'pxe', update);
    const lasting = check(t('boot.persistent'), false, update);
    const line = h('div');
    const box = errorBox();
    const flag = () => (lasting.input.checked ? '--persistent' : '--once');
    function update() {
      fill(line, commandLine(command('bootdev', 'set', quote(selector), device.value, flag())));
    }
    update();
    return [h('p', null, t('action.on', {selector})), field(t('boot.device'), device), lasting.element, person(), line, box,
      buttons(close, actButton(t('action.do'), () => startJob(app, close, {verb: 'bootdev', args: ['set', device.value, ...(lasting.input.checked ? ['persistent'] : ['once'])], selector}), {box}))];
  });
}

/** @param {import('../main.js').App} app @param {string} selector */
export function disarmDialog(app, selector) {
  openDialog(t('action.disarm'), (close) => {
    const reason = h('input', {type: 'text', maxlength: 200});
    const box = errorBox();
    const disarm = async () => {
      const {nodes} = await api.disarm({selector, by: by(), reason: reason.value});
      close();
      announce(t('disarm.done', {n: nodes.length}));
    };
    return [h('p', null, t('action.on', {selector})), h('p', null, t('disarm.about')), field(t('action.reason'), reason), person(),
      commandLine(command('disarm', quote(selector))), box, buttons(close, actButton(t('action.disarm'), disarm, {box}))];
  });
}

/** @param {import('../main.js').App} app @param {string} mac */
export function adoptDialog(app, mac) {
  openDialog(t('action.adopt'), (close) => {
    const name = h('input', {type: 'text', autocomplete: 'off', spellcheck: 'false', oninput: update});
    const role = h('input', {type: 'text', autocomplete: 'off', spellcheck: 'false', list: 'roles', oninput: update});
    const known = h('datalist', {id: 'roles'});
    api.roles().then((roles) => fill(known, roles.map((r) => h('option', {value: r.name}))), () => {}); // it can be typed
    const rack = h('input', {type: 'text', autocomplete: 'off', spellcheck: 'false', oninput: update});
    const line = h('div');
    const box = errorBox();
    function update() {
      fill(line, commandLine(command('node', 'adopt', mac, name.value && `--name ${quote(name.value)}`, role.value && `--role ${quote(role.value)}`, rack.value && `--rack ${quote(rack.value)}`)));
    }
    const adopt = async () => {
      const node = await api.adopt({who: mac, name: name.value.trim(), role: role.value.trim(), rack: rack.value.trim() || undefined, by: by()});
      close();
      app.router.go('/nodes/' + encodeURIComponent(node.name));
    };
    update();
    return [h('p', null, t('adopt.about', {mac})), field(t('machine.name'), name), field(t('machine.role'), role), known, field(t('machine.rack'), rack), person(), line, box,
      buttons(close, actButton(t('action.adopt'), adopt, {box}))];
  });
}

async function startJob(app, close, request) {
  const job = await api.startJob({...request, by: by()});
  close();
  app.router.go('/jobs/' + encodeURIComponent(job.id));
}

const buttons = (close, go) => h('div.buttons', null, go, h('button', {type: 'button', onclick: close}, t('dialog.cancel')));
