// What an asset sheet would bring into the plan, with every cell that was not taken.
import {h} from '../lib/dom.js';
import {actButton, commandLine, errorBox} from '../lib/dialog.js';
import {t} from '../lib/i18n.js';
import {table} from '../actions/form.js';
import {command, quote} from '../actions/shell.js';

/** @param {string} name @param {any} r the answer of the import @param {() => Promise<any>} take puts the new text into the editor */
export function sheetReport(name, r, take) {
  const box = errorBox();
  const bad = (r.findings || []).filter((f) => f.severity === 'error');
  return h('section.panel.wide', {'aria-label': t('sheet.title', {name})}, h('h2', null, t('sheet.title', {name})),
    h('p', null, t('sheet.sum', {rows: r.rows, n: (r.changes || []).length, same: r.unchanged, skipped: bad.length})),
    r.findings?.length ? table(t('sheet.findings'), [t('sheet.cell'), t('sheet.value'), t('sheet.wrong'), t('batch.fix')],
      r.findings.map((f) => [h('span', {data: {severity: f.severity}}, `${f.column || ''}${f.row || ''} ${f.heading || ''}`), h('code', null, f.cell || ''), f.message, f.fix || ''])) : h('p.good', null, t('sheet.clean')),
    r.plan_findings?.length ? h('ul.findings', null, r.plan_findings.slice(0, 20).map((f) => h('li', {data: {severity: f.severity}}, f.message, f.fix ? h('p.fix', null, f.fix) : null))) : null,
    r.changes?.length ? h('details', {open: r.changes.length < 12}, h('summary', null, t('plan.changes', {n: r.changes.length})),
      h('ul.mono', null, r.changes.slice(0, 500).map((c) => h('li', null, `${t(`sheet.kind.${c.kind}`)} ${c.node}: ${(c.fields || []).map((f) => `${f.field} ${f.old ? `${f.old} → ` : ''}${f.new || '–'}`).join(', ')}`)))) : null,
    box, h('div.buttons', null, r.text ? actButton(bad.length ? t('sheet.takerest', {n: (r.changes || []).length}) : t('sheet.take', {n: (r.changes || []).length}), take, {box}) : null),
    commandLine(command('plan', 'import', quote(name), '--plan plan.yaml --write', bad.length > 0 && '--skip-bad-rows')));
}
