// The run that is under way: how far it is, and how long it still takes.
import {h, setText} from '../lib/dom.js';
import {duration, t, time} from '../lib/i18n.js';
import {latestRun} from '../lib/run.js';

/** @param {import('../main.js').App} app */
export function runStrip(app) {
  const words = h('p', {id: 'run-words'});
  const bar = h('progress', {max: 1, 'aria-labelledby': 'run-words'});
  const element = h('section.run', {'aria-label': t('run.title'), hidden: true}, bar, words, h('a', {href: '/batch'}, t('run.more')));
  const show = () => {
    const run = latestRun(app.store.nodes.values(), Date.now(), app.store.install);
    element.hidden = !run;
    if (!run) return;
    const ended = run.ready + run.failed;
    bar.value = run.total ? ended / run.total : 0;
    bar.classList.toggle('bad', run.failed > 0);
    setText(words, sentence(run));
  };
  let dirty = true;
  const unsubscribe = app.store.subscribe((change) => { dirty ||= change.names.size > 0 || change.all; });
  const timer = setInterval(() => { if (dirty || !element.hidden) show(); dirty = false; }, 1000);
  show();
  return {element, close() { unsubscribe(); clearInterval(timer); }};
}

/** @param {import('../lib/run.js').Run} run */
export function sentence(run) {
  const parts = [t('run.ready', {ready: run.ready, n: run.total})];
  if (run.failed) parts.push(t('run.failed', {n: run.failed}));
  if (run.active) parts.push(t('run.active', {n: run.active}));
  if (run.waiting) parts.push(t('run.waiting', {n: run.waiting}));
  if (run.over) parts.push(t('run.over'));
  else if (run.left !== undefined) parts.push(t('run.left', {time: duration(run.left), at: time(Date.now() + run.left)}));
  else if (run.active) parts.push(t('run.unknown'));
  return parts.join(' · ');
}
