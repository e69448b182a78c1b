// The plan: read, edited and checked in place, taken from a sheet, put in force.
import * as api from '../lib/api.js';
import {coded, fill, h, setText} from '../lib/dom.js';
import {actButton, commandLine, errorBox} from '../lib/dialog.js';
import {followed, t} from '../lib/i18n.js';
import {lookingOn, mayAct} from '../lib/session.js';
import {said} from '../lib/said.js';
import {by, person} from '../actions/form.js';
import {command} from '../actions/shell.js';
import {changeList} from './changes.js';
import {dropZone} from './drop.js';
import {sheetReport} from './sheet.js';

const pause = 700; // ms after the last key, before the text is checked

/** @param {import('../main.js').App} app */
export function planView(app) {
  if (!mayAct()) return {title: t('nav.plan'), element: h('div.page', null, h('h1', null, t('nav.plan')), h('p.lead', null, t('plan.secret')), lookingOn()), close() {}};
  const box = errorBox();
  const findings = h('div', {role: 'status', 'aria-label': t('plan.findings')});
  const sheet = h('div');
  const numbers = h('div.numbers', {'aria-hidden': 'true'});
  const editor = h('textarea.editor', {id: 'plan-text', spellcheck: 'false', wrap: 'off', rows: 28, 'aria-label': t('plan.text'), oninput: typed, onscroll: () => (numbers.scrollTop = editor.scrollTop)});
  const apply = actButton(t('plan.apply'), putInForce, {box});
  const look = actButton(t('plan.check'), () => check(), {kind: 'plain', box});
  let timer = 0;
  let bad = new Map();

  const open = dropZone(t('plan.open'), '.yaml,.yml', async (file) => load(await file.text()));
  const take = dropZone(t('plan.sheet'), '.xlsx,.csv', (file) => importSheet(file));
  const element = h('div.page.broad', null,
    h('div.page-head', null, h('h1', null, t('nav.plan')), h('div.buttons', null, h('a.button', {href: '/roles'}, t('roles.title')), h('a.button', {href: '/api/v1/plan', download: 'plan.yaml'}, t('plan.download')))),
    h('p.lead', null, t('plan.about')), h('div.drops', null, open, take), sheet,
    h('div.beside', null, h('div.edit', null, numbers, editor),
      h('div.judgement', null, findings, box, person(), h('div.buttons', null, look, apply), commandLine(command('plan', 'check', 'plan.yaml'), command('plan', 'apply', 'plan.yaml')))));

  function load(text) {
    editor.value = text;
    lineNumbers();
    return check();
  }

  function typed() {
    lineNumbers();
    clearTimeout(timer);
    timer = setTimeout(() => check().catch((e) => setText(box, e.message)), pause);
  }

  function lineNumbers() {
    const lines = editor.value.split('\n').length;
    fill(numbers, Array.from({length: lines}, (_, i) => h('div', {data: bad.has(i + 1) ? {severity: bad.get(i + 1)} : {}}, i + 1)));
    numbers.scrollTop = editor.scrollTop;
  }

  async function check() {
    if (!editor.value.trim()) return fill(findings);
    const result = await api.putPlan(editor.value, {dryRun: true, by: by()});
    show(result);
    return result;
  }

  async function putInForce() {
    const result = await api.putPlan(editor.value, {dryRun: false, by: by()});
    show(result);
  }

  function show(result) {
    bad = new Map();
    for (const f of result.findings || []) if (f.line && bad.get(f.line) !== 'error') bad.set(f.line, f.severity);
    lineNumbers();
    const errors = (result.findings || []).filter((f) => f.severity === 'error').length;
    apply.disabled = errors > 0;
    fill(findings,
      h('p', {class: errors ? 'error' : 'good'}, errors ? t('plan.unusable', {n: errors}) : result.applied ? t('plan.applied', {n: result.nodes}) : t('plan.usable', {n: result.nodes})),
      result.refused ? h('p.warning', null, said(result.refused)) : null,
      h('ul.findings', null, (result.findings || []).map(finding)),
      changeList(result.changes, result.applied));
  }

  function finding(f) {
    const place = f.line ? h('button.link', {type: 'button', onclick: () => goTo(f)}, t('plan.place', {line: String(f.line), column: String(f.column)})) : null;
    return h('li', {data: {severity: f.severity}}, h('strong', null, t(`severity.${f.severity}`)), ' ', place, ' ', said(f.message), f.fix ? h('p.fix', null, h('strong', null, followed(t('batch.fix'))), coded(said(f.fix))) : null, h('code', null, f.id));
  }

  function goTo({line, column}) {
    const lines = editor.value.split('\n');
    const at = lines.slice(0, line - 1).reduce((n, l) => n + l.length + 1, 0);
    editor.focus();
    editor.setSelectionRange(at + Math.max(0, column - 1), at + lines[line - 1].length);
    editor.scrollTop = Math.max(0, (line - 8) * parseFloat(getComputedStyle(editor).lineHeight));
  }

  async function importSheet(file, decided = {}) {
    setText(box, '');
    const result = await api.importSheet({name: file.name, sheet: await base64(file), plan: editor.value, ...decided});
    result.asked = decided;
    fill(sheet, sheetReport(file.name, result, () => { fill(sheet); return load(result.text); }, (more) => importSheet(file, more)));
  }

  const draft = sessionStorage.getItem('rackseed.draft'); // that the first minute made of a sheet
  sessionStorage.removeItem('rackseed.draft');
  (draft === null ? api.plan() : Promise.resolve(draft)).then((text) => text && !editor.value && load(text)).catch((e) => setText(box, e.message || t('error.away')));
  lineNumbers();
  return {title: t('nav.plan'), element, close() { clearTimeout(timer); }};
}

/** @param {File} file */
export function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).replace(/^[^,]*,/, ''));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
