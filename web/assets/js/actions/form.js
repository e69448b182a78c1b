// Parts that the forms of actions share.
import {h} from '../lib/dom.js';
import {t} from '../lib/i18n.js';
import {session} from '../lib/session.js';
import {save, settings} from '../lib/settings.js';

let ids = 0;

/** A labelled field. @param {string} label @param {any} input @param {string} [hint] */
export function field(label, input, hint) {
  const id = input.id || `field-${++ids}`;
  input.id = id;
  if (hint) input.setAttribute('aria-describedby', `${id}-hint`);
  return h('div.field', null, h('label', {for: id}, label), input, hint ? h('p.hint', {id: `${id}-hint`}, hint) : null);
}

/** @param {string} label @param {boolean} checked @param {() => void} [onchange] */
export function check(label, checked, onchange) {
  const input = h('input', {type: 'checkbox', checked, onchange});
  return {input, element: h('label.check', null, input, ' ', label)};
}

/** @param {[string, string][]} options value and label @param {string} chosen @param {(value: string) => void} [onchange] */
export function choice(options, chosen, onchange) {
  const select = h('select', {onchange: () => onchange?.(select.value)}, options.map(([value, label]) => h('option', {value, selected: value === chosen}, label)));
  return select;
}

/** A whole number that may be left empty. */
export function amount(min, value = '') {
  return h('input', {type: 'number', min, step: 1, inputmode: 'numeric', value});
}

export const amountOf = (input) => (input.value === '' ? undefined : Number(input.value));

/** Who does it: the log says so. Whoever logged in is known. */
export function person() {
  if (session.name) return h('p.hint', null, t('action.as', {name: session.name}));
  const input = h('input', {type: 'text', autocomplete: 'name', value: settings.person, maxlength: 64, onchange: () => save({person: input.value.trim()})});
  return field(t('action.by'), input, t('action.by.hint'));
}

export const by = () => session.name || settings.person || 'page';

/**
 * A table with a caption for those who hear it. On a phone each row is a card,
 * so every cell knows its heading, and the roles stay when the layout changes.
 * @param {string} caption @param {string[]} heads @param {any[][]} rows
 */
export function table(caption, heads, rows) {
  const cell = (c, i) => (i ? h('td', {role: 'cell', data: {label: heads[i]}}, c) : h('th', {role: 'rowheader', scope: 'row'}, c));
  return h('div.scroll', {tabindex: '0', role: 'region', 'aria-label': caption},
    h('table', {role: 'table'}, h('caption.visually-hidden', null, caption),
      h('thead', {role: 'rowgroup'}, h('tr', {role: 'row'}, heads.map((x) => h('th', {role: 'columnheader', scope: 'col'}, x)))),
      h('tbody', {role: 'rowgroup'}, rows.map((cells) => h('tr', {role: 'row'}, cells.map(cell))))));
}
