// Why machines failed, by cause. Pure.

/**
 * Failures with one cause are one group: what differs from machine to machine
 * (names, numbers, addresses) is left out of the comparison. A reason of the
 * daemon is what happened, a colon or semicolon, and the next step.
 * @param {import('./fold.js').Machine[]} machines
 */
export function causes(machines) {
  const groups = new Map();
  for (const m of machines) {
    const reason = m.state === 'failed' || m.state === 'held' ? m.reason : m.state === 'installed' && m.deviations?.length ? m.deviations.join('; ') : undefined;
    if (!reason) continue;
    const id = `${m.stage} ${reason.replaceAll(m.name, '').replace(/[0-9a-f]{2}(:[0-9a-f]{2})+|\d+/gi, '#')}`;
    if (!groups.has(id)) {
      const cut = reason.lastIndexOf('; ');
      groups.set(id, {state: m.state, stage: m.state === 'failed' ? m.stage : '', reason: cut > 0 && !m.fix ? reason.slice(0, cut) : reason, fix: m.fix || (cut > 0 ? reason.slice(cut + 2) : ''), machines: []});
    }
    groups.get(id).machines.push(m);
  }
  return [...groups.values()].sort((a, b) => b.machines.length - a.machines.length);
}
