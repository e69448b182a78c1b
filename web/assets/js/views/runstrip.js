// The run that is under way: how far it is, and how long it still takes.
import {fill, h, setText} from '../lib/dom.js';
import {duration, t, time} from '../lib/i18n.js';
import {latestRun} from '../lib/run.js';

/** @param {import('../main.js').App} app */
export function runStrip(app) {
  const strip = meter();
  const element = h('section.run', {'aria-label': t('run.title'), hidden: true}, strip.elements, h('a', {href: '/batch'}, t('run.more')));
  const show = () => {
    const run = latestRun(app.store.nodes.values(), Date.now(), app.store.install);
    element.hidden = !run;
    if (run) strip.show(run);
  };
  let dirty = true;
  const unsubscribe = app.store.subscribe((change) => { if (change.all) show(); else dirty ||= change.names.size > 0; }); // what is there at once moves nothing later
  const timer = setInterval(() => { if (dirty || !element.hidden) show(); dirty = false; }, 1000);
  show();
  return {element, close() { unsubscribe(); clearInterval(timer); }};
}

/** The strip of one run, for a page that is built of it anew. @param {import('../lib/run.js').Run} run */
export function runSection(run) {
  const strip = meter();
  strip.show(run);
  return h('section.run', {'aria-label': t('run.title')}, strip.elements);
}

/** A bar with a part for each way in which machines stand, and the sentence that says the same. */
function meter() {
  const words = h('p');
  const bar = h('div.meter', {role: 'progressbar', 'aria-label': t('run.title'), 'aria-valuemin': 0});
  let drawn = '';
  return {
    elements: [bar, words],
    /** @param {import('../lib/run.js').Run} run */
    show(run) {
      const parts = [['ready', run.ready], ['installed', run.deviates], ['failed', run.failed], ['installing', run.active], ['planned', run.total - run.ready - run.deviates - run.failed - run.active]];
      const text = sentence(run);
      bar.setAttribute('aria-valuemax', String(run.total));
      bar.setAttribute('aria-valuenow', String(run.ready + run.deviates + run.failed));
      bar.setAttribute('aria-valuetext', text);
      setText(words, text);
      if (drawn === (drawn = parts.join())) return;
      fill(bar, parts.filter(([, n]) => n > 0).map(([state, n]) => h('span', {data: {state}, vars: {n}})));
    },
  };
}

/** @param {import('../lib/run.js').Run} run */
export function sentence(run) {
  const parts = [t('run.ready', {ready: run.ready, n: run.total})];
  if (run.failed) parts.push(t('run.failed', {n: run.failed}));
  if (run.deviates) parts.push(t('run.deviates', {n: run.deviates}));
  if (run.active) parts.push(t('run.active', {n: run.active}));
  if (run.waiting) parts.push(t('run.waiting', {n: run.waiting}));
  if (run.over) parts.push(t('run.over'));
  else if (run.left !== undefined) parts.push(t('run.left', {time: duration(run.left), at: time(Date.now() + run.left)}));
  else if (run.active) parts.push(t('run.unknown'));
  return parts.join(' · ');
}
