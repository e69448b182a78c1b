// The machine's BMC: what it says, asked when somebody wants to know.
import * as api from '../../lib/api.js';
import {fill, h} from '../../lib/dom.js';
import {actButton, commandLine, errorBox} from '../../lib/dialog.js';
import {t} from '../../lib/i18n.js';
import {lookingOn, mayAct} from '../../lib/session.js';
import {said} from '../../lib/said.js';
import {by} from '../../actions/form.js';
import {command, quote} from '../../actions/shell.js';
import {data} from '../jobs.js';
import {consoleControl} from './console.js';
import {facts, panel} from './panel.js';

const patience = 60; // questions, a second apart

/** What the BMC said: of an inventory all of it, else the sentence. */
const read = (verb, {data: found, message}) => (verb === 'inventory' ? data(found) || said(message) : said(message) || data(found));

/** @param {import('../../main.js').App} app @param {string} name */
export function bmcPanel(app, name) {
  const box = errorBox();
  const answers = h('div', {role: 'status'});
  const known = new Map();
  const ask = (label, verb, args) => actButton(label, async () => {
    const result = await once({verb, args, selector: name, by: by()});
    known.set(label, result.ok ? read(verb, result) || t('bmc.ok') : [result.message, result.fix].filter(Boolean).map(said).join(' '));
    fill(answers, facts([...known]));
  }, {kind: 'plain', box});

  async function once(request) {
    let job = await api.startJob(request);
    for (let i = 0; job.state === 'running' && i < patience; i++) {
      await new Promise((resolve) => setTimeout(resolve, i ? 1000 : 200));
      job = await api.job(job.id);
    }
    return job.results?.[0] || {ok: false, message: said(job.reason) || t('bmc.silent')};
  }

  const console = mayAct() ? consoleControl(name) : undefined;
  const p = panel(t('bmc.title'), async () => { await console?.look(); return undefined; });
  p.element.classList.add('noprint'); // buttons
  p.close = () => console?.close();
  p.body.append(...(mayAct() ? [h('p.hint', null, t('bmc.about')), h('div.buttons', null,
    ask(t('bmc.power'), 'power', ['status']), ask(t('bmc.boot'), 'bootdev', ['get']), ask(t('bmc.inventory'), 'inventory', []))] : [lookingOn()]),
  box, answers, commandLine(command('power', 'status', quote(name)), command('bootdev', 'get', quote(name)), command('inventory', quote(name))), console?.element || '');
  return p;
}
