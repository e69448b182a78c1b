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
 * @property {number} deviates installed, and not as it was intended
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
  const open = [];
  const past = [];
  for (const m of machines) {
    if (underWay.has(m.state) || (m.state === 'installed' && !m.ended)) open.push(m);
    else if (m.started && m.ended) past.push({m, started: Date.parse(m.started), ended: Date.parse(m.ended)});
  }
  past.sort((a, b) => b.ended - a.ended);
  if (job && isLatest(job, open, past[0])) return runOf(machines.filter((m) => job.targets.has(m.name)), now, job);
  let begin = past.length ? past[0].ended : now;
  for (const m of open) begin = Math.min(begin, startOf(m));
  const together = [];
  for (const p of past) {
    if (p.ended < begin - apart) break;
    together.push(p.m);
    begin = Math.min(begin, p.started);
  }
  return open.length + together.length ? runOf([...open, ...together], now) : undefined;
}

/** Whether nothing has been installed since, but by this job. */
function isLatest(job, open, last) {
  if (!job.ended) return true;
  if (open.some((m) => !job.targets.has(m.name))) return false;
  return !last || job.targets.has(last.m.name) || last.ended <= Date.parse(job.ended);
}

/**
 * Adds up how machines stand.
 * @param {Machine[]} machines @param {number} now @param {InstallJob} [job] what went before it does not count
 * @returns {Run}
 */
export function runOf(machines, now, job) {
  const run = {machines, total: machines.length, ready: 0, failed: 0, deviates: 0, active: 0, waiting: 0, begun: undefined, left: undefined, over: false};
  const took = [];
  const working = [];
  let queued = 0; // their turn has not come
  for (const m of machines) {
    if (job && !underWay.has(m.state) && !(Date.parse(m.started) >= Date.parse(job.queued))) {
      if (!job.ended) queued++;
      continue;
    }
    const started = startOf(m);
    if (started < (run.begun ?? Infinity)) run.begun = started;
    if (m.state === 'ready') {
      run.ready++;
      took.push(Date.parse(m.ended) - started);
    } else if (m.state === 'failed' || m.state === 'held') run.failed++;
    else if (m.state === 'armed') {
      run.waiting++;
      working.push(0); // as soon as it asks
    } else if (m.state === 'installed' && m.ended) run.deviates++;
    else if (m.started && !m.ended) {
      run.active++;
      working.push(now - started);
    }
  }
  run.over = job ? Boolean(job.ended) : run.active === 0 && run.waiting === 0;
  run.waiting += queued;
  run.left = left(median(took), working, queued);
  return run;
}

/** @param {number | undefined} typical @param {number[]} working ms at work so far @param {number} queued */
function left(typical, working, queued) {
  if (typical === undefined || working.length + queued === 0) return undefined;
  const longest = Math.max(0, ...working.map((ms) => typical - ms));
  const rounds = Math.ceil(queued / Math.max(1, working.length));
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
