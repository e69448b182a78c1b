// The filter: the SELECTOR of the command line. The daemon alone reads it.
import * as api from '../lib/api.js';
import {h, setText} from '../lib/dom.js';
import {t} from '../lib/i18n.js';

const typed = 250; // ms after the last key
const again = 2000; // ms: a selector of states is asked again while states change

/** @param {import('../main.js').App} app @param {string} first @param {() => void} changed */
export function filterBox(app, first, changed) {
  const problem = h('p.error', {id: 'filter-problem', role: 'status'});
  const input = h('input', {
    type: 'search', id: 'filter', autocomplete: 'off', spellcheck: 'false', 'aria-describedby': 'filter-hint filter-problem', placeholder: t('board.filter.example'), value: first,
    oninput: () => { clearTimeout(timer); timer = setTimeout(ask, typed); },
    onkeydown: (e) => { if (e.key === 'Escape' && input.value) { input.value = ''; ask(); e.stopPropagation(); } else if (e.key === 'Enter') ask(); },
  });
  const box = {
    element: h('div.filter', {role: 'search'}, h('label', {for: 'filter'}, t('board.filter'), ' ', h('span.hint', {id: 'filter-hint'}, t('board.filter.hint'))), input, problem),
    text: '',
    /** @type {Set<string> | undefined} the machines that it leaves; undefined is all */
    names: undefined,
    focus: () => input.focus(),
    set(text) {
      if (text === input.value.trim()) return;
      input.value = text;
      ask();
    },
    /** The list was loaded: what was found before may be of an older one, or of none. */
    loaded() {
      if (input.value.trim()) ask();
    },
    stateChanged() {
      if (!box.text.includes('state') || waiting) return;
      waiting = setTimeout(() => { waiting = 0; ask(); }, again);
    },
    close() {
      clearTimeout(timer);
      clearTimeout(waiting);
    },
  };
  let timer = 0;
  let waiting = 0;
  let asked = 0;

  async function ask() {
    const text = input.value.trim();
    const mine = ++asked;
    try {
      const names = text ? new Set(await find(text)) : undefined;
      if (mine !== asked) return;
      box.names = names;
      box.text = text;
      setText(problem, '');
      changed();
    } catch (e) {
      if (mine !== asked) return;
      if (e.code === 'usage' && box.names && text === box.text) box.names = new Set(); // the last one left the state
      setText(problem, e.message || t('error.away'));
      if (text === box.text) changed();
    }
  }

  /** Strangers are in no plan, so no selector names them. */
  async function find(text) {
    if (text === 'state=seen') return [...app.store.nodes.values()].filter((m) => m.state === 'seen').map((m) => m.name);
    return api.select(text);
  }

  if (first) ask();
  return box;
}
