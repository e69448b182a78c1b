// The hand-over report, and the inventories for what comes next.
import * as api from '../lib/api.js';
import {fill, h, setText} from '../lib/dom.js';
import {commandLine, errorBox} from '../lib/dialog.js';
import {dateTime, t} from '../lib/i18n.js';
import {settings} from '../lib/settings.js';
import {stateMark, states, stateName} from '../lib/states.js';
import {table} from '../actions/form.js';
import {command} from '../actions/shell.js';

const exports = ['kolla', 'cephadm', 'hosts', 'ansible'];

/** @param {import('../main.js').App} app */
export function reportView(app) {
  const {store} = app;
  const body = h('div');
  const box = errorBox();
  const element = h('div.page.broad', null, h('h1', null, t('nav.report')), h('p.lead', null, t('report.about')),
    h('div.buttons.noprint', null, ['html', 'xlsx', 'json'].map((f) => h('a.button', {href: `/api/v1/report?format=${f}&lang=${settings.language}`, download: `report.${f}`}, t('report.download', {format: f.toUpperCase()}))),
      h('button', {type: 'button', onclick: () => print()}, t('report.print'))),
    h('div.noprint', null, commandLine(command('report', `-o report.html --lang ${settings.language}`))),
    h('div.buttons.noprint', {role: 'group', 'aria-label': t('report.exports')}, h('span', null, t('report.exports')), exports.map((kind) => h('button', {type: 'button', onclick: () => download(kind)}, kind))),
    h('div.noprint', null, commandLine(command('export', 'kolla'))), box, body);

  async function download(kind) {
    setText(box, '');
    try {
      const {files} = await api.get('/export/' + kind);
      for (const f of files) save(f.name.replaceAll('/', '-'), f.text);
    } catch (e) {
      setText(box, e.message || t('error.away'));
    }
  }

  function show() {
    const machines = [...store.nodes.values()].filter((m) => m.state !== 'seen').sort((a, b) => (a.name < b.name ? -1 : 1));
    fill(body, h('p', null, states.map((s) => [s, machines.filter((m) => m.state === s).length]).filter(([, n]) => n).map(([s, n]) => t('board.some', {n, state: stateName(s)})).join(' · ')),
      machines.length <= 2000 ? h('div.dense', null, table(t('nav.report'), [t('machine.name'), t('machine.role'), t('machine.rack'), t('machine.serial'), t('machine.macs'), t('machine.addresses'), t('machine.image'), t('machine.state'), t('machine.ended')],
        machines.map((m) => [h('a', {href: '/nodes/' + encodeURIComponent(m.name)}, m.name), m.role, [m.rack, m.u && t('board.unit', {u: m.u})].filter(Boolean).join(' '), m.serial, (m.macs || []).join(' '), Object.values(m.addresses || {}).join(' '), m.image, stateMark(m), dateTime(m.ended)]))) : h('p', null, t('report.big')));
  }

  let timer = 0;
  const unsubscribe = store.subscribe((change) => {
    if (change.all) show();
    else if (change.names.size) timer ||= setTimeout(() => { timer = 0; show(); }, 2000);
  });
  show();
  return {title: t('nav.report'), element, close() { unsubscribe(); clearTimeout(timer); }};
}

function save(name, text) {
  const link = h('a', {href: URL.createObjectURL(new Blob([text], {type: 'text/plain'})), download: name});
  link.click();
  URL.revokeObjectURL(link.href);
}
