// What the plan says the machine is.
import * as api from '../../lib/api.js';
import {h} from '../../lib/dom.js';
import {bytes, dateTime, t} from '../../lib/i18n.js';
import {said} from '../../lib/said.js';
import {facts, panel} from './panel.js';

/** @param {string} name */
export function identityPanel(name) {
  return panel(t('machine.identity'), async () => {
    const n = await api.node(name);
    if (!n) return h('p.empty', null, t('machine.gone'));
    const lines = (list) => (list || []).map((x) => h('div.mono', null, x));
    return facts([
      [t('machine.role'), n.role && h('a', {href: '/roles?' + new URLSearchParams({role: n.role})}, n.role)], [t('machine.rack'), [n.rack, n.u && t('board.unit', {u: n.u})].filter(Boolean).join(' · ')],
      [t('machine.serial'), n.serial && h('span.mono', null, n.serial)], [t('machine.uuid'), n.uuid && h('span.mono', null, n.uuid)],
      [t('machine.macs'), lines(n.macs)], [t('machine.addresses'), lines(Object.entries(n.addresses || {}).map(([net, a]) => `${net}: ${a}`))],
      [t('machine.image'), n.image], [t('machine.attempt'), n.attempt && String(n.attempt)], [t('machine.armed'), n.armed_by && t('machine.armedby', {by: n.armed_by, at: dateTime(n.armed_until)})],
      [t('machine.started'), dateTime(n.started)], [t('machine.ended'), dateTime(n.ended)], [t('machine.deadline'), dateTime(n.deadline)],
      [t('machine.deviations'), (n.deviations || []).map((d) => h('div', null, said(d)))],
      [t('machine.evidence'), (n.evidence || []).map((e) => h('div', null, h('span.mono', null, e.file), ` ${bytes(e.size)}`))],
    ]);
  });
}
