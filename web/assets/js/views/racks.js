// Which machines stand in which rack, and in which order. Pure.

/** @typedef {import('../lib/fold.js').Machine} Machine */

/**
 * @typedef {object} Rack
 * @property {string} id
 * @property {'rack' | 'grid' | 'strangers'} kind
 * @property {string} title name of the rack; empty for machines without one
 * @property {Machine[]} machines from the top of the rack down
 * @property {number} units height of the rack; 0 where no machine has a position
 */

const order = new Intl.Collator('en', {numeric: true}).compare;
const standardHeight = 42;
const gridPart = 120; // machines without a rack, in parts that are drawn when they come near

/**
 * @param {Machine[]} machines @param {Set<string> | undefined} names those that the filter leaves
 * @returns {Rack[]}
 */
export function arrange(machines, names) {
  /** @type {Map<string, Machine[]>} */
  const byRack = new Map();
  const loose = [];
  const strangers = [];
  for (const m of machines) {
    if (m.state === 'seen') strangers.push(m);
    else if (!m.rack) loose.push(m);
    else if (byRack.has(m.rack)) byRack.get(m.rack).push(m);
    else byRack.set(m.rack, [m]);
  }
  const shown = (list) => (names ? list.filter((m) => names.has(m.name)) : list);
  const racks = [...byRack].filter(([, list]) => shown(list).length).sort(([a], [b]) => order(a, b)).map(([name, list]) => rackOf(name, list));
  return [...racks, ...grid('grid', shown(loose)), ...grid('strangers', shown(strangers))];
}

/** @returns {Rack} */
function rackOf(name, machines) {
  const top = Math.max(0, ...machines.map((m) => m.u || 0));
  machines.sort((a, b) => (b.u || 0) - (a.u || 0) || order(a.name, b.name));
  return {id: 'rack ' + name, kind: 'rack', title: name, machines, units: top ? Math.max(standardHeight, top) : 0};
}

/** @returns {Rack[]} */
function grid(kind, machines) {
  machines.sort((a, b) => order(a.name, b.name));
  const parts = [];
  for (let i = 0; i < machines.length; i += gridPart) {
    parts.push({id: `${kind} ${i}`, kind, title: '', machines: machines.slice(i, i + gridPart), units: 0});
  }
  return parts;
}

/**
 * The rows of a rack's elevation from the top: a machine, or the empty units
 * between two.
 * @param {Rack} rack @returns {{u: number, machine?: Machine}[]}
 */
export function rows(rack) {
  if (!rack.units) return rack.machines.map((machine) => ({u: 0, machine}));
  const result = [];
  let next = rack.units;
  for (const machine of rack.machines) {
    const u = machine.u || 0;
    for (; next > u && next > 0; next--) result.push({u: next});
    result.push({u, machine});
    next = Math.min(next, u - 1);
  }
  for (; next > 0 && rack.machines.some((m) => m.u); next--) result.push({u: next});
  return result;
}
