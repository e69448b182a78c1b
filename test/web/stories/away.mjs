// A viewer sleeps while more happens than it will be sent, and one sleeps for
// a moment: both catch up without a reload.
import {assert, story, until} from '../lib.mjs';

const control = process.argv[3]; // where the test lets machines change
const ask = async (what) => assert.ok((await fetch(`${control}/?${what}`)).ok);
const truth = async (url) => {
  const counts = {};
  for (const m of await (await fetch(`${url}api/v1/nodes`)).json()) counts[m.state] = (counts[m.state] || 0) + 1;
  return counts;
};

await story(async ({page, url}) => {
  await page.goto(url);
  await page.waitForSelector('.cell');
  await page.evaluate(() => { window.sameDocument = true; });
  let lists = 0;
  page.on('request', (r) => { if (r.url().endsWith('/api/v1/nodes')) lists++; });

  for (const [events, reloads] of [[300, 0], [25_000, 1]]) {
    lists = 0;
    await ask('line=cut');
    await page.getByText('no answer', {exact: true}).waitFor();
    await ask(`change=${events}`);
    await ask('line=mended');
    const want = await truth(url);
    await until(page, (counts) => {
      const shown = Object.fromEntries([...document.querySelectorAll('.counts li')].map((l) => [l.querySelector('a').dataset.state, Number(l.querySelector('strong').textContent.replaceAll(',', ''))]));
      return Object.keys(counts).every((s) => shown[s] === counts[s]) && Object.keys(shown).length === Object.keys(counts).length;
    }, want);
    assert.equal(lists, reloads, `after ${events} events`);
  }
  assert.ok(await page.evaluate(() => window.sameDocument), 'the page was loaded anew');
});
