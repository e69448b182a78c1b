// One machine: what it is, what happens to it, what it would be told.
import * as api from '../lib/api.js';
import {coded, fill, h, setText} from '../lib/dom.js';
import {dateTime, followed, t} from '../lib/i18n.js';
import {icon, stageName, stateName, stateText} from '../lib/states.js';
import {lookingOn, mayAct} from '../lib/session.js';
import {said} from '../lib/said.js';
import {adoptDialog, bootDialog, disarmDialog, powerDialog} from '../actions/bmc.js';
import {installDialog} from '../actions/install.js';
import {answerPanel} from './machine/answer.js';
import {bmcPanel} from './machine/bmc.js';
import {explainPanel} from './machine/explain.js';
import {identityPanel} from './machine/identity.js';
import {inventoryPanel} from './machine/inventory.js';
import {logPanel} from './machine/log.js';
import {timelinePanel} from './machine/timeline.js';

const settle = 400; // ms: a burst of events is one question

/** @param {import('../main.js').App} app @param {{name: string}} params */
export function machineView(app, {name}) {
  const {store} = app;
  const badge = h('p.badge');
  const why = h('div.why', {role: 'status'});
  const actions = h('div.actions', {role: 'group', 'aria-label': t('action.label')});
  const log = logPanel(app, name);
  const [explain, timeline, identity, inventory, bmc, answer] = [explainPanel(name), timelinePanel(name), identityPanel(name), inventoryPanel(name), bmcPanel(app, name), answerPanel(name)];
  const panels = [explain, timeline, identity, inventory, bmc, answer];
  const element = h('div.page.broad.machine', null,
    h('nav.crumbs', {'aria-label': t('machine.where')}, h('a', {href: '/'}, t('nav.board')), ' / ', h('span', {'aria-current': 'page'}, name)),
    h('div.machine-head', null, h('h1', null, name), badge), why, actions,
    timeline.element, h('div.panels', null, h('div.stack', null, explain.element, identity.element, bmc.element), h('div.stack.apart', null, log.element, inventory.element), answer.element));

  function head() {
    const m = store.nodes.get(name);
    fill(badge, m ? [icon(m.state), ' ', h('strong', null, stateName(m.state)), stateText(m) === stateName(m.state) ? '' : ` · ${stateText(m)}`, m.since ? ` · ${t('machine.since', {at: dateTime(m.since)})}` : ''] : t('machine.gone'));
    badge.dataset.state = m?.state || '';
    const problem = m && (m.reason || m.deviations?.map(said).join('; '));
    fill(why, problem ? h('p', null, m.state === 'failed' && m.stage ? followed(t('machine.failedat', {stage: stageName(m.stage)})) : '', coded(said(problem))) : null,
      m?.state === 'failed' || m?.state === 'held' ? h('p.fix', null, h('strong', null, followed(t('batch.fix'))), coded(said(m.fix) || t('machine.retry'))) : null);
  }

  let offered = '';
  /** The buttons stay where they are while the machine stays of one kind. */
  function offer() {
    const m = store.nodes.get(name);
    const kind = !m ? '' : m.state === 'seen' ? 'stranger' : m.state === 'failed' || m.state === 'held' ? 'again' : 'planned';
    if (kind === offered) return;
    offered = kind;
    const act = (label, open, style = 'plain') => h(`button.${style}`, {type: 'button', onclick: () => open(app, name)}, label);
    if (kind === '') fill(actions);
    else if (!mayAct()) fill(actions, lookingOn());
    else if (kind === 'stranger') fill(actions, act(t('action.adopt'), adoptDialog, 'primary'));
    else fill(actions, act(kind === 'again' ? t('action.again') : t('action.install'), installDialog, 'primary'), act(t('action.disarm'), disarmDialog), act(t('action.power'), powerDialog), act(t('action.boot'), bootDialog));
  }

  let timer = 0;
  async function ask() {
    timer = 0;
    await Promise.all(panels.map((p) => p.load().catch((e) => p.fail(e.message || t('error.away')))));
  }

  const unsubscribe = store.subscribe((change) => {
    if (!change.all && !change.names.has(name) && !change.events.some((e) => e.subject === name)) return;
    head();
    offer();
    timer ||= setTimeout(ask, settle);
  });
  const unbind = mayAct() ? app.shortcuts.bind('i', () => t('action.install'), () => installDialog(app, name)) : () => {};
  head();
  offer();
  ask();
  return {title: name, element, close() { unsubscribe(); unbind(); clearTimeout(timer); log.close(); setText(badge, ''); panels.forEach((p) => p.close?.()); }};
}
