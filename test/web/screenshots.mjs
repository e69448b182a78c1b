// Pictures of every page: node screenshots.mjs DEMO EMPTY DIR
import {join} from 'node:path';
import {open} from './lib.mjs';

const [demo, empty, dir] = process.argv.slice(2);
const sizes = {1280: {width: 1280, height: 800}, 1920: {width: 1920, height: 1080}, phone: {width: 390, height: 844}};
const pages = {board: '', machine: 'nodes/node-01', failed: 'nodes/node-02', batch: 'batch', plan: 'plan', images: 'images', jobs: 'jobs', events: 'events', report: 'report', roles: 'roles', settings: 'settings'};

const browser = await open();

async function shoot(name, url, size, {locale = 'en-GB', colorScheme = 'light', act, full = true} = {}) {
  const context = await browser.newContext({viewport: sizes[size], locale, colorScheme, isMobile: size === 'phone', hasTouch: size === 'phone', deviceScaleFactor: 1});
  const page = await context.newPage();
  await page.goto(url);
  await page.locator('main h1').first().waitFor({state: 'attached'});
  await page.waitForTimeout(1200); // pictures are looked at by people; nothing is asserted
  if (act) await act(page);
  await page.screenshot({path: join(dir, `${name}-${size}.png`), fullPage: full});
  await context.close();
}

await shoot('start', empty, '1280');
await shoot('start', empty, 'phone', {locale: 'zh-CN'});
const watcher = await browser.newPage();
await watcher.goto(demo);
await watcher.waitForFunction(() => document.querySelectorAll('.cell[data-state="installing"]').length > 5, undefined, {timeout: 120_000});
await shoot('installing', demo, '1280', {full: false});
await shoot('installing-dark', demo, '1280', {colorScheme: 'dark', full: false});
await watcher.waitForFunction(() => document.querySelector('.run p')?.textContent.includes('nothing is under way'), undefined, {timeout: 300_000});
const failed = await watcher.locator('.cell[data-state="failed"]').first().getAttribute('data-node');
pages.failed = `nodes/${failed}`;
await watcher.close();
for (const size of Object.keys(sizes)) {
  for (const [name, path] of Object.entries(pages)) await shoot(name, demo + path, size);
}
for (const name of ['board', 'failed', 'batch', 'plan', 'roles']) await shoot(`${name}-zh`, demo + pages[name], '1280', {locale: 'zh-CN', colorScheme: 'dark'});
for (const name of ['board', 'failed', 'roles']) await shoot(`${name}-zh`, demo + pages[name], 'phone', {locale: 'zh-CN'});
await shoot('machine-dark', demo + pages.failed, '1280', {colorScheme: 'dark'});
await shoot('job', demo, '1280', {act: async (page) => { await page.goto(demo + 'jobs'); await page.locator('tbody a').first().click(); await page.locator('tbody').waitFor(); await page.waitForTimeout(500); }});
await shoot('install', demo, '1280', {full: false, act: async (page) => { await page.keyboard.press('i'); await page.getByRole('dialog').getByText('to confirm').waitFor(); }});
await shoot('help', demo, '1280', {full: false, act: (page) => page.keyboard.press('?')});
await browser.close();
