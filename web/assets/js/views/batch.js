// A batch: all its machines on one axis, where the time goes, who is slow, and
// what went wrong, by cause.
import * as api from '../lib/api.js';
import {coded, fill, h, setText} from '../lib/dom.js';
import {commandLine} from '../lib/dialog.js';
import {causes} from '../lib/causes.js';
import {gantt, legend, phaseName} from '../lib/gantt.js';
import {duration, followed, number, t} from '../lib/i18n.js';
import {latestRun, median, runOf} from '../lib/run.js';
import {said} from '../lib/said.js';
import {mayAct} from '../lib/session.js';
import {stageName, stateName} from '../lib/states.js';
import {field, table} from '../actions/form.js';
import {installDialog} from '../actions/install.js';
import {command, quote} from '../actions/shell.js';
import {runSection} from './runstrip.js';

const drawn = 200; // machines in the picture; the slowest of a bigger batch
const namedInURL = 100;
const every = 2000; // ms between two looks at what goes on

/** @param {import('../main.js').App} app @param {Record<string, string>} _ @param {URLSearchParams} query */
export function batchView(app, _, query) {
  let selector = query.get('selector') || '';
  const input = h('input', {type: 'search', value: selector, autocomplete: 'off', spellcheck: 'false', placeholder: t('batch.latest'), onchange: () => app.router.go('/batch' + (input.value.trim() ? '?' + new URLSearchParams({selector: input.value.trim()}) : ''))});
  const problem = h('p.error', {role: 'status'});
  const body = h('div');
  const element = h('div.page.broad', null, h('h1', null, t('nav.batch')), field(t('board.filter'), input, t('batch.hint')), problem, body);
  let shown = 0;
  let shares = [];

  async function show() {
    const mine = ++shown;
    try {
      const run = await find();
      if (mine !== shown) return;
      setText(problem, '');
      if (!run) return fill(body, h('p.empty', null, t('batch.none')));
      const phases = await recorded(run);
      if (mine === shown) fill(body, page(app, run, phases, shares));
    } catch (e) {
      setText(problem, e.message || t('error.away'));
    }
  }

  async function find() {
    if (!selector) return latestRun(app.store.nodes.values(), Date.now(), app.store.install);
    const names = await api.select(selector);
    return runOf(names.map((n) => app.store.nodes.get(n)).filter(Boolean), Date.now());
  }

  /** The phases of each machine, by name; empty where no recorder runs. */
  async function recorded(run) {
    const few = run.machines.length <= namedInURL ? run.machines.map((m) => m.name).join(',') : '';
    const answer = await api.batch(selector || few);
    const wanted = new Set(run.machines.map((m) => m.name));
    shares = answer?.shares || [];
    return new Map((answer?.runs || []).filter((r) => wanted.has(r.node) && r.phases?.length).map((r) => [r.node, r.phases]));
  }

  let timer = 0;
  const unsubscribe = app.store.subscribe((change) => {
    if (change.all || change.names.size) timer ||= setTimeout(() => { timer = 0; show(); }, shown ? every : 0);
  });
  if (app.store.loaded) show();
  return {
    title: t('nav.batch'), element,
    navigate(q) {
      selector = q.get('selector') || '';
      input.value = selector;
      show();
      return true;
    },
    close() { unsubscribe(); clearTimeout(timer); },
  };
}

/**
 * @param {import('../main.js').App} app @param {import('../lib/run.js').Run} run @param {Map<string, import('../lib/gantt.js').Phase[]>} recorded
 * @param {any[]} shares what the recorder says of each phase
 */
function page(app, run, recorded, shares) {
  const now = Date.now();
  const rows = run.machines.map((m) => ({m, phases: recorded.get(m.name)?.length ? recorded.get(m.name) : whole(m, now)})).filter((r) => r.phases.length);
  rows.sort((a, b) => took(b.phases, now) - took(a.phases, now));
  return [
    runSection(run),
    failures(app, run),
    h('section.panel.wide', null, h('h2', null, t('batch.picture')), recorded.size ? null : h('p.hint', null, t('batch.notrecorded')), picture(rows, now)),
    h('div.panels', null, whereTheTimeGoes(rows, shares, now), stragglers(rows, now)),
  ];
}

/** Without a recorder there is one bar for the whole install. */
function whole(m, now) {
  return m.started ? [{name: 'install', begin: m.started, end: m.ended || new Date(now).toISOString()}] : [];
}

const endOf = (p, now) => (p.end.startsWith('0001') ? now : Date.parse(p.end));
const took = (phases, now) => endOf(phases.at(-1), now) - Date.parse(phases[0].begin);

function picture(rows, now) {
  if (!rows.length) return h('p.empty', null, t('gantt.none'));
  const some = rows.slice(0, drawn);
  const kinds = new Set(some.flatMap((r) => r.phases.map((p) => p.name)));
  return [rows.length > drawn ? h('p.hint', null, t('batch.slowest', {n: drawn})) : null,
    gantt(some.map(({m, phases}) => ({label: m.name, href: '/nodes/' + encodeURIComponent(m.name), phases})), {now, label: t('batch.picture')}),
    legend(kinds)];
}

function whereTheTimeGoes(rows, shares, now) {
  if (!shares.length) return null;
  const lengths = new Map();
  const notes = new Map(shares.map((s) => [s.name, s.note]));
  for (const {phases} of rows) {
    for (const p of phases) {
      if (!lengths.has(p.name)) lengths.set(p.name, []);
      lengths.get(p.name).push(endOf(p, now) - Date.parse(p.begin));
    }
  }
  const sums = [...lengths].map(([name, list]) => ({name, sum: list.reduce((a, b) => a + b, 0), middle: median(list), most: Math.max(...list)}));
  const total = sums.reduce((a, s) => a + s.sum, 0) || 1;
  sums.sort((a, b) => b.sum - a.sum);
  const advised = sums.some((s) => notes.get(s.name));
  const row = (s) => [[h('span.swatch', {data: {phase: s.name}}), phaseName(s.name)], t('unit.percent', {n: number((100 * s.sum) / total)}), duration(s.middle), duration(s.most), ...(advised ? [said(notes.get(s.name)) || ''] : [])];
  return h('section.panel', null, h('h2', null, t('batch.time')),
    table(t('batch.time'), [t('batch.phase'), t('batch.share'), t('batch.median'), t('batch.longest'), ...(advised ? [t('batch.shorter')] : [])], sums.map(row)));
}

/** Machines that take much longer than the one in the middle. */
function stragglers(rows, now) {
  const done = rows.filter(({m}) => m.ended && m.state !== 'failed'); // one that broke off says nothing of how long it takes
  const middle = median(done.map((r) => took(r.phases, now)));
  const slow = middle === undefined || done.length < 3 ? [] : rows.filter((r) => took(r.phases, now) > 1.5 * middle).slice(0, 20);
  return h('section.panel', null, h('h2', null, t('batch.stragglers')),
    slow.length ? table(t('batch.stragglers'), [t('machine.name'), t('batch.took'), t('batch.longestphase')], slow.map(({m, phases}) => {
      const worst = [...phases].sort((a, b) => endOf(b, now) - Date.parse(b.begin) - (endOf(a, now) - Date.parse(a.begin)))[0];
      return [link(m), `${duration(took(phases, now))} · ${t('batch.times', {n: number(took(phases, now) / middle, 1)})}`, phaseName(worst.name)];
    })) : h('p.empty', null, t('batch.nostragglers')));
}

const link = (m) => h('a', {href: '/nodes/' + encodeURIComponent(m.name)}, m.name);

/** @param {import('../main.js').App} app @param {import('../lib/run.js').Run} run */
function failures(app, run) {
  const groups = causes(run.machines);
  if (!groups.length) return null;
  const selector = (g) => g.machines.map((m) => m.name).join(',');
  return h('section.panel.wide.bad', null, h('h2', null, t('batch.failures')), h('div.causes', null, groups.map((g) => h('div.cause', null,
    h('h3', null, t('batch.cause', {n: g.machines.length, stage: g.stage ? stageName(g.stage) : stateName(g.state)})),
    h('p', null, coded(said(g.reason))), h('p.fix', null, h('strong', null, followed(t('batch.fix'))), coded(said(g.fix) || (g.state === 'installed' ? t('machine.correct') : t('machine.retry')))),
    h('p.machines', null, g.machines.flatMap((m, i) => [i ? ', ' : '', link(m)])),
    mayAct() ? h('div.buttons', null, h('button', {type: 'button', onclick: () => installDialog(app, selector(g))}, t('action.again'))) : null,
    commandLine(command('install', quote(selector(g))))))));
}
