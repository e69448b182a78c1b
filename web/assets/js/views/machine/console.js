// The serial console, which the daemon records into the log beside it while
// somebody wants to read along.
import * as api from '../../lib/api.js';
import {fill, h} from '../../lib/dom.js';
import {actButton, commandLine, errorBox} from '../../lib/dialog.js';
import {t, time} from '../../lib/i18n.js';
import {said} from '../../lib/said.js';
import {command, quote} from '../../actions/shell.js';

const hour = 3600e9; // nanoseconds, in which the API counts
const again = 3000; // ms between two looks while it is recorded

/** @param {string} name of the machine */
export function consoleControl(name) {
  const box = errorBox();
  const state = h('div', {role: 'status'});
  const line = h('div');
  let timer = 0;
  let shown = '';

  async function look() {
    clearTimeout(timer);
    const mine = ((await api.recordings()) || []).find((r) => r.node === name);
    if (mine) timer = setTimeout(() => look().catch(() => {}), again);
    const text = mine ? t('console.on', {at: time(mine.until), n: mine.lines}) + (['recording', 'begins'].includes(mine.state) ? '' : ` ${said(mine.state)}`) : '';
    if (text === shown && state.firstChild) return;
    shown = text;
    fill(state, h('div.buttons', null,
      mine ? actButton(t('console.stop'), () => api.stopRecording(name).then(look), {kind: 'plain', box}) : actButton(t('console.follow'), () => api.record(name, hour).then(look), {kind: 'plain', box}),
      text ? h('span.hint', null, text) : null));
    fill(line, commandLine(command('console', quote(name), mine ? '--stop-recording' : '--record-for 1h'), command('console', quote(name))));
  }

  return {element: h('div', null, h('h3', null, t('console.title')), state, box, line), look, close: () => clearTimeout(timer)};
}
