// What can be done to the machines that are chosen, and the command line that
// does the same.
import {h, setText} from '../lib/dom.js';
import {t} from '../lib/i18n.js';
import {lookingOn, mayAct} from '../lib/session.js';
import {bootDialog, disarmDialog, powerDialog} from './bmc.js';
import {installDialog} from './install.js';

/**
 * @param {import('../main.js').App} app
 * @param {() => string} selector @param {() => number | undefined} count of the machines that it picks; undefined means all
 */
export function actionBar(app, selector, count) {
  const target = h('span.target');
  const act = (label, open) => h('button', {type: 'button', onclick: () => open(app, selector())}, label);
  const element = h('div.actions', {role: 'group', 'aria-label': t('action.label')}, target, mayAct() ? [
    h('button.primary', {type: 'button', onclick: () => installDialog(app, selector())}, t('action.install')),
    act(t('action.disarm'), disarmDialog),
    act(t('action.power'), powerDialog),
    act(t('action.boot'), bootDialog)] : lookingOn());
  const bar = {
    element,
    install: () => installDialog(app, selector()),
    update() {
      const n = count();
      setText(target, n === undefined ? t('action.all') : t('unit.machines', {n}));
    },
  };
  bar.update();
  return bar;
}
