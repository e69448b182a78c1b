// What a plan would change, an event a line.
import {h} from '../lib/dom.js';
import {t} from '../lib/i18n.js';
import {kindName, named} from '../lib/names.js';

const most = 200; // lines
const few = 12; // that are shown at once

/** @param {string[] | undefined} changes kind and subject of each event @param {boolean} [applied] */
export function changeList(changes, applied) {
  if (!changes?.length) return null;
  return h('details', {open: changes.length < few}, h('summary', null, applied ? t('plan.changed', {n: changes.length}) : t('plan.changes', {n: changes.length})),
    h('ul', null, changes.slice(0, most).map((c) => {
      const [kind, ...subject] = c.split(' ');
      return h('li', null, named('span', c, kindName(kind)), ' ', h('span.mono', null, subject.join(' ')));
    }), changes.length > most ? h('li', null, '…') : null));
}
