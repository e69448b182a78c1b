// What the machine would be told now, and why.
import * as api from '../../lib/api.js';
import {coded, h} from '../../lib/dom.js';
import {commandLine} from '../../lib/dialog.js';
import {has, t} from '../../lib/i18n.js';
import {said} from '../../lib/said.js';
import {command, quote} from '../../actions/shell.js';
import {panel} from './panel.js';

const actionName = (action) => (has(`explain.action.${action}`) ? t(`explain.action.${action}`) : action);

/** @param {string} name */
export function explainPanel(name) {
  return panel(t('explain.title'), async () => {
    const e = await api.explain(name);
    return [
      h('p.decision', null, h('strong', null, actionName(e.action)), ' ', coded(said(e.why))),
      (e.steps || []).map((s) => h('details', null, h('summary', null, said(s.title)), s.why ? h('p', null, said(s.why)) : null, s.text ? h('pre', {tabindex: '0'}, s.text) : null)),
      commandLine(command('explain', quote(name)))];
  });
}
