// axe-core finds nothing serious on any page, light and dark, nor in a dialog.
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {assert, story} from '../lib.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const serious = new Set(['serious', 'critical']);

async function look(page, name) {
  const {violations} = await page.evaluate(async (source) => {
    if (!window.axe) (0, eval)(source);
    return window.axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']});
  }, axe);
  const bad = violations.filter((v) => serious.has(v.impact)).map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.failureSummary}`).join(' | ')}`);
  assert.deepEqual(bad, [], `${name} has serious findings`);
}

const everything = ['', 'nodes/node-02', 'batch', 'plan', 'images', 'jobs', 'events', 'report', 'roles', 'start', 'settings', 'nowhere'];

// what the themes differ in is the same on the other pages
for (const [colorScheme, pages] of [['light', everything], ['dark', everything.slice(0, 4)]]) {
  await story(async ({page, url}) => {
    for (const path of pages) {
      await page.goto(url + path);
      await page.locator('main h1').first().waitFor({state: 'attached'});
      if (path === '') await page.waitForSelector('.cell');
      if (path.startsWith('nodes')) await page.locator('.decision').waitFor();
      await look(page, `${colorScheme} /${path}`);
    }
    await page.goto(url);
    await page.waitForSelector('.cell');
    await page.keyboard.press('i');
    await page.getByRole('dialog').getByText('to confirm', {exact: false}).waitFor();
    await look(page, `${colorScheme} install dialog`);
  }, {context: {colorScheme, bypassCSP: true}}); // the policy would not let axe in
}
