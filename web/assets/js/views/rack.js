// One rack on the board. Its frame is always there, with its size and a
// summary; its machines are drawn while it is near what is seen, so that
// 16,000 machines cost as much as the few racks on the screen.
import {fill, h, setText} from '../lib/dom.js';
import {t} from '../lib/i18n.js';
import {said} from '../lib/said.js';
import {icon, progress, setIcon, stateName, states, stateText} from '../lib/states.js';
import {rows} from './racks.js';

const budget = 4; // ms of a frame for racks that come near: they do it long before they are seen

/** @type {Set<RackElement>} */
const coming = new Set();
let turn = 0;

/** Racks come near by the row; a row at once would be felt while scrolling. @param {RackElement} rack */
function drawSoon(rack) {
  coming.add(rack);
  turn ||= requestAnimationFrame(drawSome);
}

function drawSome() {
  const until = performance.now() + budget;
  for (const rack of coming) {
    coming.delete(rack);
    rack.drawNow();
    if (performance.now() > until) break;
  }
  turn = coming.size ? requestAnimationFrame(drawSome) : 0;
}

export class RackElement {
  /** @type {import('./racks.js').Rack} */
  #rack;
  /** @type {Set<string> | undefined} */
  #names;
  /** @type {Set<string>} */
  #marked;
  #order = new Map();
  #cells = new Map();
  #drawn = false;
  #near = false;
  #stop = '';
  #counting = 0;

  constructor(id, title) {
    this.list = h('ol.units');
    this.summary = h('p.rack-summary');
    this.share = h('div.share', {'aria-hidden': 'true'});
    this.heading = h('h2');
    this.amount = h('span.rack-size');
    this.element = h('section.rack', {data: {rack: id}}, h('header', null, this.heading, this.amount), this.summary, this.share, this.list);
    this.title = title;
  }

  /** @param {import('./racks.js').Rack} rack */
  set(rack, names, marked) {
    this.#rack = rack;
    this.#names = names;
    this.#marked = marked;
    this.#order = new Map(rack.machines.map((m, i) => [m.name, i]));
    this.element.className = `rack ${rack.kind}`;
    setText(this.heading, {rack: () => t('board.rack', {name: rack.title}), grid: () => t('board.norack'), strangers: () => t('board.strangers')}[rack.kind]());
    const drawn = rows(rack);
    const machines = drawn.filter((r) => r.machine).length;
    this.list.style.setProperty('--machines', String(machines));
    this.list.style.setProperty('--gaps', String(drawn.length - machines));
    this.#count();
    if (this.#drawn) this.#draw();
  }

  size() {
    return this.#rack.machines.length;
  }

  /** Whether the machine still stands where it is drawn. */
  holds(m) {
    const at = this.#order.get(m.name);
    const have = at === undefined ? undefined : this.#rack.machines[at];
    return have !== undefined && have.rack === m.rack && have.u === m.u && (have.state === 'seen') === (m.state === 'seen');
  }

  changed(m) {
    if (!m) return;
    this.#rack.machines[this.#order.get(m.name)] = m;
    const cell = this.#cells.get(m.name);
    if (cell) this.#paint(cell, m);
    this.#counting ||= requestAnimationFrame(() => {
      this.#counting = 0;
      this.#count();
    });
  }

  near(yes) {
    this.#near = yes;
    if (yes && !this.#drawn) drawSoon(this);
    else if (!yes && this.#drawn && !this.list.contains(document.activeElement)) this.#clear();
  }

  /** Draws it, if it is still near: its turn has come. */
  drawNow() {
    if (this.#near && !this.#drawn) this.#draw();
  }

  indexOf(name) {
    return this.#order.get(name);
  }

  at(i) {
    return this.#rack.machines.at(i)?.name;
  }

  tab(name, yes) {
    this.#stop = yes ? name : '';
    this.#cells.get(name)?.link.setAttribute('tabindex', yes ? '0' : '-1');
    if (yes && !this.#drawn) this.#draw();
  }

  focus(name) {
    if (!this.#drawn) this.#draw();
    const link = this.#cells.get(name)?.link;
    link?.focus();
    link?.scrollIntoView({block: 'nearest', inline: 'nearest'});
  }

  #clear() {
    if (this.#stop) return; // the one that Tab goes to stays
    this.#drawn = false;
    this.#cells.clear();
    this.list.replaceChildren();
  }

  #draw() {
    this.#drawn = true;
    const focused = document.activeElement?.dataset?.node;
    this.#cells.clear();
    fill(this.list, rows(this.#rack).map((row) => (row.machine ? this.#cell(row.machine, row.u) : h('li.gap', {'aria-hidden': 'true'}))));
    if (focused && this.#cells.has(focused)) this.#cells.get(focused).link.focus({preventScroll: true});
  }

  #cell(m, u) {
    const cell = {icon: icon(m.state), name: h('span.name', null, m.name), hidden: h('span.visually-hidden'), text: h('span.text'), bar: h('span.bar', {'aria-hidden': 'true'})};
    cell.link = h('a.cell', {href: '/nodes/' + encodeURIComponent(m.name), data: {node: m.name}, tabindex: this.#stop === m.name ? '0' : '-1'},
      u ? h('span.u', {'aria-hidden': 'true'}, u) : null, cell.icon, cell.name, cell.hidden, cell.text, cell.bar);
    this.#cells.set(m.name, cell);
    this.#paint(cell, m);
    return h('li', null, cell.link);
  }

  #paint(cell, m) {
    const {link} = cell;
    if (link.dataset.state !== m.state) link.dataset.state = m.state;
    setIcon(cell.icon, m.state);
    const text = stateText(m);
    if (cell.text.textContent !== text) {
      cell.text.textContent = text;
      cell.hidden.textContent = ['', m.u && t('board.unit', {u: m.u}), text !== stateName(m.state) && stateName(m.state), ''].filter((x) => x === '' || x).join(', ');
    }
    const hint = m.reason ? said(m.reason) : m.detail || '';
    if (link.title !== hint) link.title = hint;
    const p = progress(m);
    cell.bar.style.setProperty('--done', p === undefined ? '0' : p.toFixed(2));
    link.classList.toggle('dim', this.#names !== undefined && !this.#names.has(m.name));
    link.classList.toggle('marked', this.#marked.has(m.name));
  }

  #count() {
    const found = new Map();
    for (const m of this.#rack.machines) found.set(m.state, (found.get(m.state) || 0) + 1);
    const here = states.filter((s) => found.has(s));
    setText(this.amount, t('unit.machines', {n: this.#rack.machines.length}));
    setText(this.summary, here.map((s) => t('board.some', {n: found.get(s), state: stateName(s)})).join(' · '));
    if (this.summary.title !== this.summary.textContent) this.summary.title = this.summary.textContent;
    fill(this.share, here.map((s) => h('span', {data: {state: s}, vars: {n: found.get(s)}})));
  }
}
