// The run that is under way, and how long it is going to take. Pure.

/** @typedef {import('./fold.js').Machine} Machine */

const apart = 15 * 60_000; // attempts this far apart belong to different runs
const underWay = new Set(['armed', 'booting', 'installing']);

/** @typedef {{id: string, targets: Set<string>, queued: string, ended?: string}} InstallJob an install by BMC: its machines wait their turn unarmed */

/**
 * @typedef {object} Run
 * @property {Machine[]} machines
 * @property {number} total
 * @property {number} ready
 * @property {number} failed
 * @property {number} active
 * @property {number} waiting
 * @property {number | undefined} begun ms since the epoch
 * @property {number | undefined} left ms; undefined until a machine is done
 * @property {boolean} over
 */

/**
 * The latest run: the machines of the job that installs them; without one,
 * every machine that is armed or at work, and those whose attempt ended in the
 * same stretch of work.
 * @param {Iterable<Machine>} all @param {number} now @param {InstallJob} [job] the latest
 * @returns {Run | undefined}
 */
export function latestRun(all, now, job) {
  const machines = [...all];
  const open = machines.filter((m) => underWay.has(m.state) || (m.state === 'installed' && !m.ended));
  const past = machines.filter((m) => !open.includes(m) && m.started && m.ended).sort((a, b) => Date.parse(b.ended) - Date.parse(a.ended));
  if (job && (!job.ended || !open.some((m) => !job.targets.has(m.name)) && (!past.length || past[0].ended <= job.ended || job.targets.has(past[0].name)))) {
    return runOf(machines.filter((m) => job.targets.has(m.name)), now, job);
  }
  let begin = open.length ? Math.min(...open.map(startOf)) : past.length ? Date.parse(past[0].ended) : now;
  const together = past.filter((m) => {
    if (Date.parse(m.ended) < begin - apart) return false;
    begin = Math.min(begin, Date.parse(m.started));
    return true;
  });
  return open.length + together.length ? runOf([...open, ...together], now) : undefined;
}

/**
 * Adds up how machines stand.
 * @param {Machine[]} machines @param {number} now @param {InstallJob} [job] what went before it does not count
 * @returns {Run}
 */
export function runOf(machines, now, job) {
  const run = {machines, total: machines.length, ready: 0, failed: 0, active: 0, waiting: 0, begun: undefined, left: undefined, over: false};
  const took = [];
  const working = [];
  for (const m of machines) {
    if (job && !underWay.has(m.state) && !(m.started >= job.queued)) {
      if (!job.ended) run.waiting++;
      continue;
    }
    const started = startOf(m);
    if (started < (run.begun ?? Infinity)) run.begun = started;
    if (m.state === 'ready') {
      run.ready++;
      took.push(Date.parse(m.ended) - started);
    } else if (m.state === 'failed' || m.state === 'held') run.failed++;
    else if (m.state === 'armed') run.waiting++;
    else if (m.state === 'installed' && m.ended) run.failed++; // it deviates
    else if (m.started && !m.ended) {
      run.active++;
      working.push(now - started);
    }
  }
  run.over = job ? Boolean(job.ended) : run.active === 0 && run.waiting === 0;
  run.left = left(median(took), working, run.waiting);
  return run;
}

/** @param {number | undefined} typical @param {number[]} working ms at work so far @param {number} waiting */
function left(typical, working, waiting) {
  if (typical === undefined || working.length + waiting === 0) return undefined;
  const longest = Math.max(0, ...working.map((ms) => typical - ms));
  const rounds = Math.ceil(waiting / Math.max(1, working.length));
  return longest + rounds * typical;
}

/** @param {number[]} values */
export function median(values) {
  if (!values.length) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const startOf = (m) => Date.parse(m.started && m.state !== 'armed' ? m.started : m.since);
