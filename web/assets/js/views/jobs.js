// Jobs: one thing that is done to many BMCs.
import * as api from '../lib/api.js';
import {coded, fill, h, perFrame, setText} from '../lib/dom.js';
import {actButton, commandLine, errorBox} from '../lib/dialog.js';
import {bytes, dateTime, duration, has, t} from '../lib/i18n.js';
import {mayAct} from '../lib/session.js';
import {argName, healthName, messageText, named, verbName} from '../lib/names.js';
import {said} from '../lib/said.js';
import {icon} from '../lib/states.js';
import {by, table} from '../actions/form.js';
import {command, quote} from '../actions/shell.js';

const kinds = new Set(['job-queued', 'job-step', 'job-node-done', 'job-ended', 'job-resumed']);

/** Asks again when an event of a job came, at most once a second. */
function whenJobsChange(app, show) {
  let timer = 0;
  const unsubscribe = app.store.subscribe((change) => {
    if (timer || !(change.all || change.events.some((e) => kinds.has(e.kind)))) return;
    timer = setTimeout(() => { timer = 0; show(); }, 1000);
  });
  return () => { unsubscribe(); clearTimeout(timer); };
}

/** @param {import('../main.js').App} app */
export function jobsView(app) {
  const body = h('div');
  const box = errorBox();
  const element = h('div.page', null, h('h1', null, t('nav.jobs')), h('p.lead', null, t('jobs.about')), box, body);
  async function show() {
    try {
      const list = await api.jobs();
      setText(box, '');
      fill(body, list.length
        ? table(t('nav.jobs'), [t('jobs.id'), t('jobs.what'), t('jobs.by'), t('jobs.begun'), t('machine.state'), t('jobs.done'), t('jobs.failed')],
          list.map((j) => [h('a', {href: '/jobs/' + encodeURIComponent(j.id)}, j.id), named('span', what(j), whatText(j)), j.by || '–', dateTime(j.queued), jobState(j), t('jobs.of', {n: j.ok, total: j.total}), j.failed ? h('strong.failures', null, t('unit.number', {n: j.failed})) : '–']))
        : h('p.empty', null, t('jobs.none')), commandLine(command('job', 'list')));
    } catch (e) {
      setText(box, e.message || t('error.away'));
    }
  }
  const close = whenJobsChange(app, show);
  show();
  return {title: t('nav.jobs'), element, close};
}

const what = (j) => [j.verb, ...(j.args || [])].join(' ');
const whatText = (j) => [verbName(j.verb), ...(j.args || []).map((a) => argName(j.verb, a))].join(' ');
const jobState = (j) => (j.state === 'running' ? t('jobs.running') : j.reason ? t('jobs.stopped', {reason: said(j.reason)}) : t('jobs.ended'));

/** @param {import('../main.js').App} app @param {{id: string}} params */
export function jobView(app, {id}) {
  const body = h('div');
  const box = errorBox();
  const heading = h('h1', null, t('jobs.one', {id}));
  const element = h('div.page', null, heading, box, body);
  let job;
  const show = perFrame(() => job && fill(body, page()));

  async function load() {
    try {
      job = await api.job(id);
      setText(box, '');
      show();
    } catch (e) {
      setText(box, e.message || t('error.away'));
    }
  }

  function page() {
    const cancel = actButton(t('jobs.cancel'), async () => { await api.cancelJob(id); await load(); }, {kind: 'plain', box});
    const resume = actButton(t('jobs.resume'), async () => { const next = await api.startJob({resume: id, verb: job.verb, by: by()}); app.router.go('/jobs/' + encodeURIComponent(next.id)); }, {kind: 'plain', box});
    return [
      h('p.lead', null, named('strong', what(job), whatText(job)), ` · ${jobState(job)} · ${t('jobs.sum', {ok: job.ok, failed: job.failed, n: job.total})}`),
      progressOf(job),
      mayAct() ? h('div.buttons', null, job.state === 'running' ? cancel : null, job.state !== 'running' && job.ok < job.total ? resume : null) : null,
      commandLine(job.state === 'running' ? command('job', 'show', quote(id)) : command(...what(job).split(' '), `--resume ${quote(id)}`)),
      table(t('jobs.results'), [t('machine.name'), t('machine.state'), t('jobs.message'), t('jobs.fix'), t('jobs.took')],
        [...(job.results || [])].sort((a, b) => rank(a) - rank(b)).map((r) => [h('a', {href: '/nodes/' + encodeURIComponent(r.target)}, r.target), phaseMark(r.phase),
          happened(r, job.verb), coded(said(r.fix)), r.seconds ? h('span.whole', null, duration(r.seconds * 1000)) : '']))];
  }
  const close = whenJobsChange(app, load);
  load();
  return {title: t('jobs.one', {id}), element, close};
}

const phaseName = (phase) => t(`phase.job.${phase.replace(' ', '-')}`);

/** What needs somebody stands first, then what goes on. */
const order = ['failed', 'retrying', 'running', 'not started', 'waiting', 'done'];
const rank = (r) => order.indexOf(r.phase);

const stateOf = {done: 'ready', failed: 'failed', running: 'installing', retrying: 'held'};
const phaseMark = (phase) => h('span.state', {data: {state: stateOf[phase] || 'planned'}}, icon(stateOf[phase] || 'planned'), ' ', phaseName(phase));

const progressOf = (job) => h('div.meter', {role: 'progressbar', 'aria-label': t('jobs.progress'), 'aria-valuemin': 0, 'aria-valuemax': job.total, 'aria-valuenow': job.ok + job.failed},
  [['ready', job.ok], ['failed', job.failed], ['planned', job.total - job.ok - job.failed]].filter(([, n]) => n > 0).map(([state, n]) => h('span', {data: {state}, vars: {n}})));

function happened(r, verb) {
  const text = coded(verb === 'inventory' && r.ok ? data(r.data) : messageText(r.message) || data(r.data));
  return r.steps?.length ? steps(text, r.steps) : text;
}

const steps = (text, list) => h('details', null, h('summary', null, text, ' ', h('span.hint', null, t('jobs.steps', {n: list.length}))),
  h('ol', null, list.map((s) => h('li', null, s.error ? t('pair', {what: said(s.what), value: said(s.error)}) : said(s.what)))));

/** What was read, in a line. */
export function data(d) {
  if (d === undefined || d === null) return '';
  if (typeof d !== 'object') return String(d);
  if (Object.keys(d).length === 1 && d.power) return has(`powered.${d.power}`) ? t(`powered.${d.power}`) : d.power;
  const figure = (k, v) => (k === 'health' ? healthName(v) : k === 'memory' ? bytes(v) : v);
  return Object.entries(d).filter(([, v]) => typeof v !== 'object').map(([k, v]) => t('pair', {what: has(`read.${k}`) ? t(`read.${k}`) : k, value: String(figure(k, v))})).join(' · ');
}
