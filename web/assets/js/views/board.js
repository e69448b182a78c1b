// The board: every machine in its rack, coloured and labelled by its state.
import {fill, h, setText} from '../lib/dom.js';
import {t} from '../lib/i18n.js';
import {mayAct} from '../lib/session.js';
import {icon, stateName, states} from '../lib/states.js';
import {actionBar} from '../actions/bar.js';
import {runStrip} from './runstrip.js';
import {arrange} from './racks.js';
import {RackElement} from './rack.js';
import {filterBox} from './filter.js';

const few = 4; // racks that get more room than one of many

/** @param {import('../main.js').App} app @param {Record<string, string>} _ @param {URLSearchParams} query */
export function boardView(app, _, query) {
  const {store} = app;
  /** @type {Map<string, RackElement>} */
  const racks = new Map();
  /** @type {Map<string, RackElement>} the rack that shows a machine */
  const places = new Map();
  const marked = new Set();

  const counts = h('ul.counts', {'aria-label': t('board.counts')});
  const wall = h('div.wall', {role: 'group', 'aria-label': t('board.title')});
  const empty = h('p.empty', {hidden: true});
  const strip = runStrip(app);
  const filter = filterBox(app, query.get('selector') || '', filtered);
  const bar = actionBar(app, () => chosen(), () => marked.size || (filter.names ? filter.names.size : undefined));
  const element = h('div.board', null,
    h('h1.visually-hidden', null, t('board.title')),
    strip.element, counts,
    h('div.board-tools', null, filter.element, bar.element),
    empty, wall);

  const near = new IntersectionObserver((entries) => {
    for (const e of entries) racks.get(e.target.dataset.rack)?.near(e.isIntersecting);
  }, {rootMargin: '600px'});

  const unsubscribe = store.subscribe(update);
  const unbind = [
    app.shortcuts.bind('/', () => t('board.filter.focus'), () => filter.focus()),
    mayAct() ? app.shortcuts.bind('i', () => t('action.install'), () => bar.install()) : () => {},
    app.shortcuts.bind('x', () => t('board.mark'), () => mark(document.activeElement?.dataset?.node)),
    app.shortcuts.bind('c', () => t('board.unmark'), () => { marked.clear(); refresh(); }),
  ];
  wall.addEventListener('keydown', move);
  wall.addEventListener('focusin', (e) => e.target.dataset.node && tabStop(e.target.dataset.node));
  wall.addEventListener('click', (e) => {
    const cell = e.target.closest?.('[data-node]');
    if (!cell || !(e.ctrlKey || e.metaKey || e.shiftKey)) return;
    e.preventDefault();
    mark(cell.dataset.node);
  });

  let counted = 0;
  const recount = () => { counted ||= setTimeout(count, 200); }; // a figure that changes faster cannot be read

  function count() {
    counted = 0;
    const found = new Map();
    for (const m of store.nodes.values()) if (shown(m)) found.set(m.state, (found.get(m.state) || 0) + 1);
    fill(counts, states.filter((s) => found.has(s)).map((s) => h('li', null,
      h('a.count', {href: '/?' + new URLSearchParams({selector: `state=${s}`}), data: {state: s}},
        icon(s), h('strong', null, t('unit.number', {n: found.get(s)})), ' ', stateName(s)))));
  }

  function shown(m) {
    return !filter.names || filter.names.has(m.name);
  }

  /** @param {import('../lib/store.js').Change} change */
  function update(change) {
    if (change.all) {
      filter.loaded();
      return rebuild();
    }
    let moved = false;
    for (const name of change.names) {
      const m = store.nodes.get(name);
      const rack = places.get(name);
      if (!rack || !m || !rack.holds(m)) moved = true;
      else rack.changed(m);
    }
    if (moved) return rebuild();
    if (change.names.size) {
      recount();
      filter.stateChanged();
    }
    bar.update();
  }

  /** Arranges everything anew; what stands where it stood keeps its element. */
  function rebuild() {
    const list = arrange([...store.nodes.values()], filter.names);
    const wanted = new Set(list.map((r) => r.id));
    for (const [id, rack] of racks) {
      if (wanted.has(id)) continue;
      near.unobserve(rack.element);
      rack.element.remove();
      racks.delete(id);
    }
    places.clear();
    let before = null;
    for (const r of list) {
      let rack = racks.get(r.id);
      if (!rack) {
        rack = new RackElement(r.id, r.title);
        racks.set(r.id, rack);
        near.observe(rack.element);
      }
      rack.set(r, filter.names, marked);
      for (const m of r.machines) places.set(m.name, rack);
      const place = before ? before.nextSibling : wall.firstChild;
      if (place !== rack.element) wall.insertBefore(rack.element, place);
      before = rack.element;
    }
    const full = list.filter((r) => r.kind === 'rack').length;
    wall.classList.toggle('few', full > 0 && full <= few);
    wall.style.setProperty('--few', String(full));
    empty.hidden = list.length > 0;
    setText(empty, !store.loaded ? t('board.loading') : store.nodes.size ? t('board.nomatch') : t('board.none'));
    count();
    bar.update();
    tabStop(stop);
  }

  function filtered() {
    const path = '/' + (filter.text ? '?' + new URLSearchParams({selector: filter.text}) : '');
    if (path !== location.pathname + location.search) history.replaceState(null, '', path);
    refresh();
  }

  function refresh() {
    rebuild();
  }

  /** The selector that an action works on: what is marked, else the filter. */
  function chosen() {
    if (marked.size) return [...marked].join(',');
    return filter.text || 'all';
  }

  function mark(name) {
    if (!name) return;
    if (!marked.delete(name)) marked.add(name);
    places.get(name)?.changed(store.nodes.get(name));
    bar.update();
  }

  // One machine is in the order of tabs; arrows go from there.
  let stop = '';

  function tabStop(name) {
    const next = places.has(name) ? name : places.keys().next().value;
    if (stop && stop !== next) places.get(stop)?.tab(stop, false);
    stop = next || '';
    if (stop) places.get(stop).tab(stop, true);
  }

  function move(e) {
    const name = e.target.dataset?.node;
    if (!name || e.ctrlKey || e.metaKey || e.altKey) return;
    const all = [...racks.values()].filter((r) => r.size() > 0);
    const order = [...wall.children].map((c) => racks.get(c.dataset.rack)).filter((r) => all.includes(r));
    const rack = places.get(name);
    const at = order.indexOf(rack);
    const i = rack.indexOf(name);
    let to;
    switch (e.key) {
      case 'ArrowDown': to = rack.at(i + 1) || order[at + 1]?.at(0); break;
      case 'ArrowUp': to = rack.at(i - 1) || order[at - 1]?.at(-1); break;
      case 'ArrowRight': to = (order[at + 1] && (order[at + 1].at(i) || order[at + 1].at(-1))); break;
      case 'ArrowLeft': to = (order[at - 1] && (order[at - 1].at(i) || order[at - 1].at(-1))); break;
      case 'Home': to = order[0]?.at(0); break;
      case 'End': to = order.at(-1)?.at(-1); break;
      case ' ': e.preventDefault(); mark(name); return;
      default: return;
    }
    if (!to) return;
    e.preventDefault();
    tabStop(to);
    places.get(to).focus(to);
  }

  if (store.loaded) rebuild();
  else setText(empty, t('board.loading')), (empty.hidden = false);

  return {
    title: t('board.title'), element,
    navigate(q) {
      filter.set(q.get('selector') || '');
      return true;
    },
    close() {
      unsubscribe();
      unbind.forEach((u) => u());
      near.disconnect();
      clearTimeout(counted);
      strip.close();
      filter.close();
    },
  };
}
