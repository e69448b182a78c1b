// A role: what its profile lets the plan decide, a change of it, and a new one
// that begins as another. The daemon writes it into the text of the plan,
// checks that text, and nothing is in force before somebody says so.
import * as api from '../lib/api.js';
import {announce, fill, h, setText} from '../lib/dom.js';
import {actButton, commandLine, errorBox} from '../lib/dialog.js';
import {bytes, followed, number, t} from '../lib/i18n.js';
import {said} from '../lib/said.js';
import {lookingOn, mayAct} from '../lib/session.js';
import {by, choice, field, person, table} from '../actions/form.js';
import {command, quote} from '../actions/shell.js';
import {changeList} from './changes.js';
import {facts} from './machine/panel.js';

const named = 30; // machines that are listed by name

/** @param {import('../main.js').App} app @param {Record<string, string>} _ @param {URLSearchParams} query */
export function rolesView(app, _, query) {
  const box = errorBox();
  const picker = h('div');
  const body = h('div');
  const element = h('div.page', null, h('nav.crumbs', {'aria-label': t('machine.where')}, h('a', {href: '/plan'}, t('nav.plan')), ' / ', h('span', {'aria-current': 'page'}, t('roles.title'))),
    h('h1', null, t('roles.title')), h('p.lead', null, t('roles.about')), picker, box, body);

  async function load() {
    try {
      const roles = await api.roles();
      const first = roles.find((r) => r.name === query.get('role')) || roles[0];
      if (!first) return fill(body, h('p.empty', null, t('roles.none')));
      let shown = first.name;
      const show = (name) => { shown = name; fill(body, form(app, roles.find((r) => r.name === name), load)); };
      const added = (name) => { query.set('role', name); history.replaceState(null, '', '/roles?' + query); return load(); };
      const add = () => { fill(body, form(app, {...roles.find((r) => r.name === shown), from: shown, name: '', nodes: 0}, added)); body.querySelector('input')?.focus(); };
      fill(picker, h('div.fields', null, field(t('machine.role'), choice(roles.map((r) => [r.name, `${r.name} · ${t('unit.machines', {n: r.nodes})}`]), first.name, (name) => {
        query.set('role', name);
        history.replaceState(null, '', '/roles?' + query);
        show(name);
      })), mayAct() ? h('div.buttons', null, h('button', {type: 'button', onclick: add}, t('roles.add'))) : null));
      show(first.name);
    } catch (e) {
      setText(box, e.message || t('error.away'));
    }
  }
  load();
  return {title: t('roles.title'), element, close() {}};
}

/** @param {import('../main.js').App} app @param {any} role one with from is new @param {(name: string) => any} done */
function form(app, role, done) {
  const box = errorBox();
  const preview = h('div', {role: 'status', 'aria-label': t('roles.preview')});
  const inputs = new Map();
  const name = h('input', {type: 'text', autocomplete: 'off', spellcheck: 'false', maxlength: 63, oninput: () => fill(preview)});
  const nameOf = () => (role.from ? name.value.trim() : role.name);
  const rows = (role.parameters || []).map((p) => {
    const input = inputOf(p, role.set?.[p.name]);
    input.setAttribute('aria-label', p.name);
    inputs.set(p, input);
    input.addEventListener('input', () => fill(preview));
    return [h('code', null, p.name), [said(p.summary), p.why ? h('p.hint', null, said(p.why)) : null], kind(p), defaultOf(p), mayAct() ? input : shown(role.set?.[p.name])];
  });

  async function look() {
    const set = changes(role, inputs);
    if (role.from && !nameOf()) return name.focus();
    if (!role.from && !Object.keys(set).length) return fill(preview, h('p.empty', null, t('roles.unchanged')));
    const [before, {text, notes}] = await Promise.all([api.plan(), api.editRole({role: nameOf(), from: role.from, set})]);
    const result = await api.putPlan(text, {dryRun: true, by: by()});
    const names = role.from ? [] : await api.select(`role=${role.name}`).catch(() => []);
    fill(preview, proposal(role, set, {before, text, notes, result, names}));
    const usable = !result.refused && !(result.findings || []).some((f) => f.severity === 'error');
    const problem = errorBox();
    const apply = actButton(t('plan.apply'), async () => {
      const now = await api.plan();
      if (now !== before) throw new Error(t('roles.moved'));
      const applied = await api.putPlan(text, {dryRun: false, by: by()});
      if (!applied.applied) throw new Error(said(applied.refused) || t('plan.unusable', {n: (applied.findings || []).length}));
      announce(t('plan.applied', {n: applied.nodes}));
      await done(nameOf());
    }, {box: problem, disabled: !usable});
    apply.disabled = !usable;
    preview.append(person(), problem, h('div.buttons', null, apply), commandLine(command('plan', 'role', quote(nameOf()), role.from && `--from ${quote(role.from)}`, ...Object.entries(set).map(flag), '--plan plan.yaml --write'), command('plan', 'diff', 'plan.yaml'), command('plan', 'apply', 'plan.yaml')));
  }

  return [
    role.from ? [h('h2', null, t('roles.new', {from: role.from})), field(t('roles.name'), name, t('roles.name.hint'))] : null,
    facts([[t('roles.profile'), (role.chain || [role.profile]).join(' → ')], [t('machine.image'), role.image],
      [t('roles.machines'), role.from ? null : h('a', {href: '/?' + new URLSearchParams({selector: `role=${role.name}`})}, t('unit.machines', {n: role.nodes}))]]),
    role.problem ? h('p.error', {role: 'alert'}, said(role.problem)) : null,
    rows.length ? h('div.parameters', null, table(t('roles.parameters'), [t('roles.parameter'), t('roles.what'), t('roles.type'), t('roles.default'), t('roles.value')], rows)) : h('p.empty', null, t('roles.noparameters')),
    mayAct() ? [box, h('div.buttons', null, actButton(t('roles.preview'), look, {box}))] : lookingOn(),
    preview];
}

/** A default may be worked out from other values: !kolla is "unless Kolla deploys the cloud". */
const defaultOf = (p) => (!p.default ? t('roles.computed') : /^!|\$\{/.test(p.default) ? [t('roles.computed'), h('div', null, h('code', null, p.default))] : h('code', null, p.default));

/** The flag of `plan role` that says the same. */
const flag = ([key, value]) => (value === null ? `--unset ${quote(key)}` : `--set ${quote(`${key}=${Array.isArray(value) ? `[${value.join(', ')}]` : value}`)}`);

const shown = (value) => (value === undefined ? '–' : h('code', null, write(value)));

const write = (value) => (Array.isArray(value) ? value.join(', ') : String(value));

/** An input for a parameter; what is left empty is left to the profile. */
function inputOf(p, value) {
  const text = value === undefined ? '' : write(value);
  if (p.type === 'boolean') return choice([['', t('roles.profiles')], ['true', 'true'], ['false', 'false']], text);
  if (p.values?.length && p.type !== 'list') return choice([['', t('roles.profiles')], ...p.values.map((v) => [v, v])], text);
  const numeric = p.type === 'integer' || p.type === 'number';
  return h('input', {type: numeric ? 'number' : 'text', step: p.type === 'integer' ? 1 : 'any', min: numeric ? p.minimum : undefined, max: numeric ? p.maximum : undefined,
    value: text, placeholder: p.default || t('roles.profiles'), autocomplete: 'off', spellcheck: 'false'});
}

/** The type of a parameter and how far it may go. */
function kind(p) {
  const figure = (n) => (p.type === 'size' ? bytes(n) : number(n, 2));
  const range = p.minimum !== undefined && p.maximum !== undefined ? t('roles.between', {least: figure(p.minimum), most: figure(p.maximum)})
    : p.minimum !== undefined ? t('roles.least', {n: figure(p.minimum)}) : p.maximum !== undefined ? t('roles.most', {n: figure(p.maximum)}) : '';
  return [t(`roles.type.${p.type}`), range ? h('p.hint', null, range) : null];
}

/** What differs from the plan in force, by parameter; null leaves one to the profile. */
function changes(role, inputs) {
  const set = {};
  for (const [p, input] of inputs) {
    const text = input.value.trim();
    const old = role.set?.[p.name];
    if (text === (old === undefined ? '' : write(old))) continue;
    set[p.name] = text === '' ? null : valueOf(p.type, text);
  }
  return set;
}

function valueOf(type, text) {
  switch (type) {
    case 'boolean': return text === 'true';
    case 'integer': case 'number': return Number(text);
    case 'list': return text.split(',').map((x) => x.trim()).filter(Boolean);
    case 'size': return /^\d+$/.test(text) ? Number(text) : text;
    default: return text;
  }
}

/** The change for people: of values, of machines, of the text; and what the checks say of it. */
function proposal(role, set, {before, text, notes, result, names}) {
  const findings = result.findings || [];
  const errors = findings.filter((f) => f.severity === 'error').length;
  return [
    h('h2', null, t('roles.preview')),
    Object.keys(set).length ? table(t('roles.preview'), [t('roles.parameter'), t('roles.before'), t('roles.after')],
      Object.entries(set).map(([name, value]) => [h('code', null, name), shown(role.set?.[name]), value === null ? t('roles.profiles') : h('code', null, write(value))])) : null,
    role.from ? h('p', null, t('roles.nobody')) : [
      h('p', null, t('roles.concerns', {n: names.length}), ' ', names.slice(0, named).join(', '), names.length > named ? ' …' : ''),
      h('p.hint', null, t('roles.nextinstall'))],
    (notes || []).map((n) => h('p.warning', null, said(n))),
    h('p', {class: errors ? 'error' : 'good'}, errors ? t('plan.unusable', {n: errors}) : t('plan.usable', {n: result.nodes})),
    result.refused ? h('p.warning', null, said(result.refused)) : null,
    findings.length ? h('ul.findings', null, findings.map((f) => h('li', {data: {severity: f.severity}}, h('strong', null, t(`severity.${f.severity}`)), ' ', said(f.message), f.fix ? h('p.fix', null, h('strong', null, followed(t('batch.fix'))), said(f.fix)) : null, h('code', null, f.id)))) : null,
    changeList(result.changes),
    h('h3', null, t('roles.text')), h('pre.diff', {tabindex: '0', 'aria-label': t('roles.text')}, diff(before, text))];
}

/** The lines that differ, with what stands around them left out: an edit of a role moves nothing. */
function diff(before, after) {
  const [a, b] = [before.split('\n'), after.split('\n')];
  let front = 0;
  while (front < a.length && front < b.length && a[front] === b[front]) front++;
  let back = 0;
  while (back < a.length - front && back < b.length - front && a.at(-1 - back) === b.at(-1 - back)) back++;
  const part = (lines, sign) => lines.slice(front, lines.length - back).map((line) => h(sign === '+' ? 'ins' : 'del', null, `${sign} ${line}\n`));
  return [`@@ ${front + 1}\n`, part(a, '-'), part(b, '+')];
}
