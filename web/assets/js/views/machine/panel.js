// A titled part of the machine page that asks the daemon for what it shows.
import {fill, h} from '../../lib/dom.js';

let ids = 0;

/**
 * @param {string} title
 * @param {() => Promise<import('../../lib/dom.js').Child>} ask gives the content; undefined leaves what is shown
 * @param {{wide?: boolean}} [o]
 */
export function panel(title, ask, o = {}) {
  const id = `panel-${++ids}`;
  const body = h('div.panel-body');
  const element = h(o.wide ? 'section.panel.wide' : 'section.panel', {'aria-labelledby': id}, h('h2', {id}, title), body);
  return {
    element, body,
    async load() {
      const content = await ask();
      if (content !== undefined) keepOpen(body, () => fill(body, content));
    },
    fail(message) {
      fill(body, h('p.error', {role: 'alert'}, message));
    },
    close: undefined,
  };
}

/** What somebody opened stays open, and the focus stays where it was. */
function keepOpen(body, change) {
  const open = [...body.querySelectorAll('details')].map((d) => d.open);
  const focusable = 'a, button, summary, select, input, [tabindex]';
  const at = [...body.querySelectorAll(focusable)].indexOf(document.activeElement);
  change();
  body.querySelectorAll('details').forEach((d, i) => (d.open = open[i] || d.open));
  if (at >= 0) body.querySelectorAll(focusable)[at]?.focus({preventScroll: true});
}

/** Rows of a name and a value. @param {[string, import('../../lib/dom.js').Child][]} pairs those without a value are left out */
export function facts(pairs) {
  return h('dl.facts', null, pairs.filter(([, v]) => v !== undefined && v !== '' && v !== null && !(Array.isArray(v) && !v.length)).map(([k, v]) => h('div', null, h('dt', null, k), h('dd', null, v))));
}
