// What an asset sheet would bring into the plan, with every cell that was not taken.
import {fill, h} from '../lib/dom.js';
import {actButton, commandLine, errorBox} from '../lib/dialog.js';
import {t} from '../lib/i18n.js';
import {said} from '../lib/said.js';
import {check, field, table} from '../actions/form.js';
import {command, quote} from '../actions/shell.js';

/**
 * @param {string} name @param {any} r the answer of the import
 * @param {() => Promise<any>} take puts the new text into the editor
 * @param {(decided: any) => Promise<any>} again reads the sheet with what somebody decided about it
 */
export function sheetReport(name, r, take, again) {
  const box = errorBox();
  const bad = (r.findings || []).filter((f) => f.severity === 'error');
  return h('section.panel.wide', {'aria-label': t('sheet.title', {name})}, h('h2', null, t('sheet.title', {name})),
    h('p', null, t('sheet.sum', {rows: r.rows, n: (r.changes || []).length, same: r.unchanged, skipped: bad.length})),
    r.findings?.length ? table(t('sheet.findings'), [t('sheet.cell'), t('sheet.value'), t('sheet.wrong'), t('jobs.fix')],
      r.findings.map((f) => [h('span', {data: {severity: f.severity}}, `${f.column || ''}${f.row || ''} ${f.heading || ''}`), h('code', null, f.cell || ''), said(f.message), said(f.fix) || ''])) : h('p.good', null, t('sheet.clean')),
    r.plan_findings?.length ? h('ul.findings', null, r.plan_findings.slice(0, 20).map((f) => h('li', {data: {severity: f.severity}}, said(f.message), f.fix ? h('p.fix', null, said(f.fix)) : null))) : null,
    r.changes?.length ? h('details', {open: r.changes.length < 12}, h('summary', null, t('plan.changes', {n: r.changes.length})),
      h('ul.mono', null, r.changes.slice(0, 500).map((c) => h('li', null, `${t(`sheet.kind.${c.kind}`)} ${c.node}: ${(c.fields || []).map((f) => `${f.field} ${f.old ? `${f.old} → ` : ''}${f.new || '–'}`).join(', ')}`)))) : null,
    decisions(name, r, again),
    box, h('div.buttons', null, r.text && r.changes?.length ? actButton(bad.length ? t('sheet.takerest', {n: (r.changes || []).length}) : t('sheet.take', {n: (r.changes || []).length}), take, {box}) : null),
    commandLine(command('plan', 'import', quote(name), '--plan plan.yaml --write', bad.length > 0 && '--skip-bad-rows')));
}

/** What a sheet leaves open, and the flags that decide it. */
function decisions(name, r, again) {
  const box = errorBox();
  const lines = (text, example) => h('textarea', {rows: 2, spellcheck: 'false', placeholder: example, oninput: update}, text.join('\n'));
  const columns = lines(r.asked?.columns || [], '业务IP=management');
  const roles = lines(r.asked?.roles || [], '计算节点=compute');
  const names = lines(r.asked?.names || [], 'compute=cs-computer-[0001-0512]');
  const numbers = check(t('sheet.numbers'), Boolean(r.asked?.numbers_as_text), update);
  const line = h('div');
  const list = (area) => area.value.split('\n').map((x) => x.trim()).filter(Boolean);
  function update() {
    const flags = [...list(columns).map((x) => `--column ${quote(x)}`), ...list(roles).map((x) => `--role-map ${quote(x)}`), ...list(names).map((x) => `--name ${quote(x)}`)];
    fill(line, commandLine(command('plan', 'import', quote(name), '--plan plan.yaml', ...flags, numbers.input.checked && '--numbers-as-text')));
  }
  update();
  return h('details', {open: r.findings?.length > 0}, h('summary', null, t('sheet.decide')),
    h('div.fields', null, field(t('sheet.columns'), columns), field(t('sheet.roles'), roles), field(t('sheet.names'), names)), numbers.element, line, box,
    h('div.buttons', null, actButton(t('sheet.again'), () => again({columns: list(columns), roles: list(roles), names: list(names), numbers_as_text: numbers.input.checked}), {kind: 'plain', box})));
}
