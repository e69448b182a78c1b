// The fold of the log onto the list of machines, as pkg/site/apply.go has it.
// A Go test folds the same random logs by both and compares.

/**
 * @typedef {object} Machine
 * @property {string} name
 * @property {string} state
 * @property {string} since
 * @property {string} [role]
 * @property {string} [rack]
 * @property {number} [u]
 * @property {string} [stage]
 * @property {string} [detail]
 * @property {string} [reason]
 * @property {string[]} [deviations]
 * @property {string[]} [macs]
 * @property {string} [serial]
 * @property {string} [uuid]
 * @property {Record<string, string>} [addresses]
 * @property {string} [image]
 * @property {string} [fix] the next step with a machine that failed or is held
 * @property {boolean} [adopted]
 * @property {string} [adopted_by]
 * @property {string} [armed_by]
 * @property {string} [armed_until]
 * @property {number} [attempt]
 * @property {string} [started]
 * @property {string} [ended]
 * @property {string} [deadline]
 * @property {any[]} [disks]
 * @property {any[]} [evidence]
 */

/** @typedef {{seq: number, at: string, kind: string, subject?: string, body: any}} Event */

/** What the fold asks its owner to fetch, because the event alone does not say it. */
export const refetchOne = Symbol('one machine');
export const refetchAll = Symbol('all machines');

/** Kinds that change nothing that a machine shows. */
const silent = new Set(['answer-served', 'image-added', 'image-removed', 'lease-granted', 'lease-released', 'address-declined', 'node-seen',
  'job-queued', 'job-step', 'job-node-done', 'job-ended', 'job-resumed', 'bmc-learned']);

const enter = (m, state, at) => ({...m, state, since: m.state === state ? m.since : at});
const disarmed = {armed_by: undefined, armed_until: undefined};

/** Rules for the events of one machine: (machine, body, at) → machine. */
const rules = {
  'armed': (m, b, at) => ({...enter(m, 'armed', at), armed_by: b.by, armed_until: b.until, reason: undefined, deviations: undefined}),
  'disarmed': (m, b, at) => ({...enter(m, 'planned', at), ...disarmed, reason: undefined}),
  'install-started': (m, b, at) => ({...enter(m, 'booting', at), ...disarmed, attempt: b.attempt, stage: undefined, detail: undefined, started: at, ended: undefined, deadline: b.deadline}),
  'install-resumed': (m, b) => ({...m, deadline: b.deadline}),
  'install-progress': (m, b, at) => ({...enter(m, 'installing', at), stage: b.stage, detail: b.detail, deadline: b.deadline}),
  'install-done': (m, b, at) => ({...enter(m, 'installed', at), deadline: b.deadline}),
  'install-failed': (m, b, at) => ({...enter(m, 'failed', at), reason: b.reason, stage: b.stage, ended: at}),
  'node-verified': (m, b, at) => ({...enter(m, b.deviations?.length ? 'installed' : 'ready', at), deviations: b.deviations, reason: undefined, ended: at, deadline: undefined}),
  'evidence-stored': (m, b) => ({...m, evidence: [...(m.evidence || []), {attempt: b.attempt, file: b.file, sha256: b.sha256, size: b.size}]}),
  'node-held': (m, b, at) => ({...enter(m, 'held', at), reason: b.reason}),
};

/**
 * Folds one event into machines.
 * @param {Map<string, Machine>} machines
 * @param {Event} event
 * @param {(name: string | typeof refetchAll, what?: typeof refetchOne) => void} touch is told what changed or has to be fetched
 */
export function fold(machines, event, touch) {
  const {kind, body, at} = event;
  const rule = rules[kind];
  if (rule) {
    const m = machines.get(body.node);
    if (!m) return;
    machines.set(m.name, rule({...m, fix: undefined}, body, at));
    touch(m.name);
    if (kind === 'install-failed' || kind === 'node-held') touch(m.name, refetchOne); // the next step is the daemon's to say
    return;
  }
  switch (kind) {
    case 'plan-applied':
      touch(refetchAll); // the image of a machine follows from its role
      return;
    case 'node-planned':
      planned(machines, body, at, touch);
      return;
    case 'node-unplanned':
      machines.delete(body.name);
      touch(body.name);
      return;
    case 'stranger-seen':
      stranger(machines, body.mac, at, body.arch || '', touch);
      return;
    case 'stranger-inventoried':
      stranger(machines, body.mac, at, undefined, touch);
      return;
    case 'node-inventoried':
      if (body.inventory.source === 'bmc') for (const nic of body.inventory.nics || []) known(machines, nic.mac, touch);
      touch(body.node, refetchOne); // its model
      return;
    default:
      if (!silent.has(kind) && event.subject) touch(event.subject, refetchOne);
  }
}

function planned(machines, {node, by}, at, touch) {
  const {name, role, rack, u, serial, uuid, addresses, adopted} = node;
  const before = machines.get(name) || {name, state: 'planned', since: at};
  let m = {...before, role, rack, u, macs: node.macs, serial, uuid, addresses, disks: node.disks?.system, adopted};
  if (by || !adopted) m.adopted_by = by;
  if (before.state === 'armed') m = {...enter(m, 'planned', at), ...disarmed};
  else if (before.state === 'held' && !sameIdentity(before, m)) m = {...enter(m, 'planned', at), reason: undefined};
  machines.set(name, m);
  touch(name);
  for (const mac of node.macs || []) known(machines, mac, touch);
}

/** Whether the plan still means the machine that it meant. */
function sameIdentity(a, b) {
  const id = (m) => JSON.stringify([m.serial || '', m.uuid || '', m.macs || []]);
  return id(a) === id(b);
}

function stranger(machines, mac, at, arch, touch) {
  const before = machines.get(mac) || {name: mac, state: 'seen', since: at, macs: [mac]};
  machines.set(mac, arch === undefined ? before : {...before, detail: arch || undefined});
  touch(mac);
}

/** A MAC that belongs to a machine is no stranger any more. */
function known(machines, mac, touch) {
  if (mac && machines.get(mac)?.state === 'seen') {
    machines.delete(mac);
    touch(mac);
  }
}
