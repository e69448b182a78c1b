// Frame times and heap of the board while machines change: node load.mjs URL [SECONDS]
import {open} from './lib.mjs';

const [url, seconds = '60'] = process.argv.slice(2);
const browser = await open();
const page = await (await browser.newContext({viewport: {width: 1280, height: 800}})).newPage();
page.on('pageerror', (e) => console.error('page error:', e.message));
const begun = Date.now();
await page.goto(url);
await page.waitForSelector('.cell');
console.log(`first machines on the screen after ${Date.now() - begun} ms`);

const devtools = await page.context().newCDPSession(page);
await devtools.send('Performance.enable', {timeDomain: 'threadTicks'});

/** MiB in use after a collection: scripts, and the elements that they hold. */
async function heap() {
  await devtools.send('HeapProfiler.collectGarbage');
  const {usedSize, embedderHeapUsedSize} = await devtools.send('Runtime.getHeapUsage');
  return [usedSize, embedderHeapUsedSize].map((n) => (n / 2 ** 20).toFixed(0)).join(' + ');
}

/** Seconds that the page's thread was at work, which other programs do not distort as they do frames. */
async function work() {
  const {metrics} = await devtools.send('Performance.getMetrics');
  const of = (name) => metrics.find((m) => m.name === name).value;
  return {tasks: of('TaskDuration'), script: of('ScriptDuration')};
}
const first = await heap();
const elements = await page.evaluate(() => document.querySelectorAll('*').length);

/** Frame intervals while something runs in the page. */
async function frames(ms, scroll) {
  return page.evaluate(([ms, scroll]) => new Promise((resolve) => {
    const times = [];
    const tasks = [];
    const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries().map((e) => e.duration)));
    observer.observe({type: 'longtask'});
    let last = performance.now();
    const end = last + ms;
    const frame = (now) => {
      times.push(now - last);
      last = now;
      if (scroll) window.scrollBy(0, (now % 8000 < 4000 ? 1 : -1) * 40);
      if (now < end) requestAnimationFrame(frame);
      else { observer.disconnect(); resolve({times, tasks}); }
    };
    requestAnimationFrame(frame);
  }), [ms, scroll]);
}

function say(what, {times, tasks}) {
  const sorted = times.slice(1).sort((a, b) => a - b);
  const at = (p) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))].toFixed(1);
  console.log(`${what}: ${sorted.length} frames, median ${at(0.5)} ms, p95 ${at(0.95)} ms, p99 ${at(0.99)} ms, worst ${at(1)} ms; ${tasks.length} tasks above 50 ms, longest ${Math.max(0, ...tasks).toFixed(0)} ms`);
}

const half = (Number(seconds) * 1000) / 2;
for (const [what, scroll] of [['at rest', false], ['scrolling', true]]) {
  const before = await work();
  say(what, await frames(half, scroll));
  const after = await work();
  console.log(`  the page's thread works ${(1e6 * (after.tasks - before.tasks) / half).toFixed(0)} ms in a second, ${(1e6 * (after.script - before.script) / half).toFixed(0)} ms of it in scripts`);
}
const last = await heap();
const seq = await page.evaluate(() => document.querySelectorAll('.cell').length);
console.log(`heap (scripts + elements) ${first} MiB, after ${seconds} s ${last} MiB; ${elements} elements, ${seq} cells drawn`);
await browser.close();
