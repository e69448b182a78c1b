// Arm and install. Two keys for a disk: the plan, and an operator who has seen
// which serial numbers and disks it is about, and typed that.
import * as api from '../lib/api.js';
import {announce, fill, h, setText} from '../lib/dom.js';
import {actButton, commandLine, errorBox, openDialog} from '../lib/dialog.js';
import {t} from '../lib/i18n.js';
import {said} from '../lib/said.js';
import {stateMark} from '../lib/states.js';
import {amount, amountOf, by, check, field, person, table} from './form.js';
import {command, quote} from './shell.js';

const listed = 1000; // machines: a dialog of 16,000 rows would take its time

/** @param {import('../main.js').App} app @param {string} selector */
export function installDialog(app, selector) {
  const box = errorBox();
  const body = h('div', null, h('p', null, t('install.looking')), box);
  openDialog(t('install.title'), (close) => {
    rehearse(app, selector, body, box, close);
    return body;
  }, {wide: true});
}

async function rehearse(app, selector, body, box, close) {
  try {
    const {results} = await api.startJob({verb: 'install', selector, by: by(), dry_run: true});
    fill(body, form(app, selector, (results || []).map((r) => ({name: r.target, ...r.data})), close));
  } catch (e) {
    fill(body, box);
    setText(box, e.message || t('error.away'));
  }
}

function form(app, selector, nodes, close) {
  const box = errorBox();
  const word = nodes.length === 1 ? nodes[0].name : String(nodes.length);
  const typed = h('input', {type: 'text', autocomplete: 'off', spellcheck: 'false', oninput: ready});
  const reason = h('input', {type: 'text', maxlength: 200});
  const power = check(t('install.power'), true, update);
  const canary = amount(0, nodes.length > 1 ? '1' : '');
  const parallel = amount(1);
  const failures = amount(0);
  const options = h('div.fields', null, field(t('install.canary'), canary, t('install.canary.hint')), field(t('install.parallel'), parallel, t('install.parallel.hint')),
    field(t('install.failures'), failures, t('install.failures.hint')));
  const why = field(t('action.reason'), reason);
  const line = h('div');
  for (const input of [canary, parallel, failures]) input.addEventListener('input', update);
  const go = actButton(t('install.go', {n: nodes.length}), start, {kind: 'danger', box, disabled: true});

  function ready() {
    go.disabled = typed.value.trim() !== word;
  }

  function update() {
    options.hidden = !power.input.checked;
    why.hidden = power.input.checked; // the log of a job has no room for it
    const flags = power.input.checked
      ? [canary.value && `--canary ${canary.value}`, parallel.value && `--parallel ${parallel.value}`, failures.value && `--max-failures ${failures.value}`]
      : ['--no-power'];
    fill(line, commandLine(command('install', quote(selector), ...flags)));
  }

  async function start() {
    if (power.input.checked) {
      const job = await api.startJob({verb: 'install', selector, by: by(),
        options: {canary: amountOf(canary), parallel: amountOf(parallel), max_failures: amountOf(failures)}});
      close();
      app.router.go('/jobs/' + encodeURIComponent(job.id));
      return;
    }
    const armed = await api.arm({selector, by: by(), reason: reason.value});
    close();
    announce(t('install.armed', {n: armed.nodes.length}));
  }

  update();
  return [
    h('p.warning', null, t('install.wipes', {n: nodes.length})),
    wipeTable(nodes.slice(0, listed)),
    nodes.length > listed ? [h('p.hint', null, t('install.more', {n: nodes.length - listed})), commandLine(command('install', quote(selector), '--dry-run'))] : null,
    power.element, options, h('div.fields', null, person(), why),
    h('div.confirm', null, box, h('div.fields', null, field(nodes.length === 1 ? t('install.type.one', {word}) : t('install.type.many', {word}), typed),
      h('div.buttons', null, go, h('button', {type: 'button', onclick: close}, t('dialog.cancel')))), line),
  ];
}

/** The machines and the disks that an install may wipe. */
export function wipeTable(nodes) {
  return table(t('install.list'), [t('machine.name'), t('machine.serial'), t('machine.image'), t('install.disks'), t('machine.state')],
    nodes.map((n) => [n.name, n.serial || '–', n.image || '–', (n.wipes || []).map((w) => h('div', null, said(w))), [stateMark(n, t(`state.${n.state}`)), n.warning ? h('p.hint', null, said(n.warning)) : null]]));
}
