// Pictures of every page and of the states that it can be in:
// node screenshots.mjs DEMO EMPTY GUARDED DIR; ONLY=REGEXP picks some by name.
// DEMO runs an install, EMPTY has no plan, GUARDED wants a login.
import {join} from 'node:path';
import {assert, open} from './lib.mjs';

const [demo, empty, guarded, dir] = process.argv.slice(2);
const patience = 300_000; // ms; the machine that takes the pictures may have others to take care of
const sizes = {1280: {width: 1280, height: 800}, 1920: {width: 1920, height: 1080}, phone: {width: 390, height: 844}};
const english = {locale: 'en-GB', colorScheme: 'light'};
const chinese = {locale: 'zh-CN', colorScheme: 'dark'};

const browser = await open();
const only = new RegExp(process.env.ONLY || '.'); // names of pictures

/**
 * Takes one picture.
 * @param {string} name @param {string} url @param {keyof sizes} size
 * @param {{locale?: string, colorScheme?: string, act?: (page: any) => any, full?: boolean, tall?: boolean, media?: string, context?: any}} o
 * full is the whole page, not only what is seen at first; tall is a screen as high as the page, for what is drawn when it is near
 */
async function shoot(name, url, size, {locale = 'en-GB', colorScheme = 'light', act, full = true, tall = false, media, storageState} = {}) {
  if (!only.test(name)) return;
  const context = await browser.newContext({viewport: sizes[size], locale, colorScheme, isMobile: size === 'phone', hasTouch: size === 'phone', ignoreHTTPSErrors: true, storageState});
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  await page.goto(url);
  await page.locator('main h1, main h2').first().waitFor({state: 'attached'});
  await page.waitForTimeout(1200); // pictures are looked at by people
  if (media) await page.emulateMedia({media});
  if (act) await act(page);
  if (tall) {
    await page.setViewportSize({width: sizes[size].width, height: await page.evaluate(() => document.documentElement.scrollHeight)});
    await page.waitForTimeout(300);
  }
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(over, 0, `${name} is ${over} pixels wider than the screen at ${size}`);
  await page.screenshot({path: join(dir, `${name}-${size}.png`), fullPage: full && !tall});
  await context.close();
}

const everywhere = async (name, url, o = {}) => {
  for (const size of Object.keys(sizes)) {
    await shoot(name, url, size, {...english, ...o});
    await shoot(`${name}-zh-dark`, url, size, {...chinese, ...o});
  }
};

const choose = async (page, button, file) => {
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), button.click()]);
  await chooser.setFiles(file);
};

// while machines are installed
const watcher = await browser.newPage();
watcher.setDefaultTimeout(patience);
await watcher.goto(demo);
await watcher.waitForFunction(() => document.querySelectorAll('.cell[data-state="installing"]').length > 5);
await shoot('installing', demo, '1280', {full: false});
await shoot('installing-zh-dark', demo, 'phone', {...chinese, full: false});
await shoot('running-batch', demo + 'batch', '1280');
await shoot('running-machine', demo + 'nodes/node-07', '1280');

// before the first plan
for (const size of Object.keys(sizes)) {
  await shoot('start', empty, size);
  await shoot('start-zh-dark', empty, size, chinese);
}
await shoot('doctor', empty + 'start', '1280', {act: async (page) => { await page.getByRole('button', {name: 'Check this network first'}).click(); await page.locator('.findings li').first().waitFor(); }});

// who may look and who may act
const login = async (name, password) => {
  const context = await browser.newContext({ignoreHTTPSErrors: true});
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  await page.goto(guarded + 'login');
  await page.locator('[name="name"]').fill(name);
  await page.locator('[name="password"]').fill(password);
  await page.locator('button[type="submit"], form button').first().click();
  await page.waitForURL(guarded);
  const state = await context.storageState();
  await context.close();
  return state;
};
for (const size of ['1280', 'phone']) {
  await shoot('login', guarded + 'login', size);
  await shoot('login-zh-dark', guarded + 'login', size, chinese);
}
const viewer = await login('wall', 'the wall may look at it');
const operator = await login('wei', 'wei turns the machines on');
await shoot('viewer', guarded, '1280', {storageState: viewer});
await shoot('viewer-zh-dark', guarded, 'phone', {...chinese, storageState: viewer});
await shoot('viewer-machine', guarded + 'nodes/n1', '1280', {storageState: viewer});
const change = (button) => async (page) => {
  await page.locator('[aria-label="swap_size"]').fill('8GiB');
  await page.getByRole('button', {name: button}).click();
  await page.locator('.diff ins').first().waitFor();
};
await shoot('role-change', guarded + 'roles', '1280', {storageState: operator, act: change('What would change')});
await shoot('role-change-zh-dark', guarded + 'roles', 'phone', {...chinese, storageState: operator, act: change('查看更改')});
await shoot('role-new', guarded + 'roles', '1280', {storageState: operator, act: async (page) => {
  await page.getByRole('button', {name: 'New role like this…'}).click();
  await page.getByLabel('Its name').fill('compute-nfv');
  await change('What would change')(page);
}});

// after the install
await watcher.waitForFunction(() => document.querySelector('.run p')?.textContent.includes('nothing is under way'));
const failed = await watcher.locator('.cell[data-state="failed"]').first().getAttribute('data-node');
const deviating = await watcher.locator('.cell[data-state="installed"]').first().getAttribute('data-node');
await watcher.close();
const pages = {board: '', machine: 'nodes/node-01', failed: `nodes/${failed}`, batch: 'batch', plan: 'plan', images: 'images', jobs: 'jobs', events: 'events', report: 'report', roles: 'roles', settings: 'settings', missing: 'nowhere'};
for (const [name, path] of Object.entries(pages)) {
  await everywhere(name, demo + path, {tall: name === 'board', full: name !== 'events'});
}
const job = async (page) => { await page.locator('tbody a').first().click(); await page.locator('.meter').first().waitFor(); await page.waitForTimeout(500); };
await everywhere('job', demo + 'jobs', {act: job, full: false});
await shoot('deviating', demo + `nodes/${deviating}`, '1280');
await shoot('filtered', demo + '?selector=state%3Dfailed', '1280');
await shoot('wrong-filter', demo + '?selector=role%3D', '1280');
await shoot('marked', demo, '1280', {full: false, act: async (page) => { for (const n of ['node-05', 'node-07']) await page.locator(`[data-node="${n}"]`).click({modifiers: ['Control']}); }});

// dialogs
const dialog = (key) => async (page) => { await page.keyboard.press(key); await page.getByRole('dialog').locator('.confirm, .keys').first().waitFor(); };
await everywhere('install', demo, {full: false, act: async (page) => { await page.locator('.actions button').first().click(); await page.getByRole('dialog').locator('.confirm').waitFor(); }});
await shoot('help', demo, '1280', {full: false, act: dialog('?')});
await shoot('help-zh-dark', demo, '1280', {...chinese, full: false, act: dialog('?')});
for (const [i, name] of ['disarm', 'power', 'boot'].entries()) {
  const press = async (page) => { await page.locator('.actions button').nth(i + 1).click(); await page.getByRole('dialog').waitFor(); };
  await shoot(name, demo + `nodes/${failed}`, '1280', {full: false, act: press});
  await shoot(`${name}-zh-dark`, demo + `nodes/${failed}`, 'phone', {...chinese, full: false, act: press});
}
await shoot('verify', demo + 'images', '1280', {full: false, act: async (page) => { await page.getByRole('button', {name: /^Verify/}).click(); await page.locator('dialog .good').waitFor(); }});
await shoot('bmc', demo + 'nodes/node-01', '1280', {act: async (page) => { await page.getByRole('button', {name: 'Power state'}).click(); await page.locator('[role="status"] .facts').first().waitFor(); }});

// what is wrong
const sheet = ['机柜,U位,序列号,MAC地址,主机名,角色', 'B01,11,2102311TUF10K9000001,52:54:00:aa:00:01,extra-01,base', 'B01,13,2102311TUF10K9000002,52:54:00:aa:00,extra-02,base'].join('\n');
const badCell = async (page) => { await choose(page, page.locator('.drop button').nth(1), {name: '资产表.csv', mimeType: 'text/csv', buffer: Buffer.from(sheet)}); await page.locator('.beside, .panel table').first().waitFor(); await page.locator('.panel tbody tr').first().waitFor(); };
await everywhere('sheet', demo + 'plan', {act: badCell});
const badPlan = async (page) => { await page.locator('#plan-text').evaluate((e) => { e.value = e.value.replace('profile: base', 'profil: base').replace('127.20.1.3', '127.20.1.2'); e.dispatchEvent(new Event('input')); }); await page.locator('.findings li').first().waitFor(); };
await everywhere('lints', demo + 'plan', {act: badPlan});
const notISO = async (page) => { await choose(page, page.locator('.drop button').first(), {name: 'page.iso', mimeType: 'application/octet-stream', buffer: Buffer.from('<html>')}); await page.locator('p.error:not(:empty)').first().waitFor(); };
await shoot('not-an-iso', demo + 'images', '1280', {act: notISO});
await shoot('not-an-iso-zh-dark', demo + 'images', 'phone', {...chinese, act: notISO});

// on paper: A4 between margins of 15 mm
sizes.paper = {width: 680, height: 960};
await shoot('print-report', demo + 'report', 'paper', {media: 'print'});
await shoot('print-report-zh-dark', demo + 'report', 'paper', {...chinese, media: 'print'});
await shoot('print-machine', demo + `nodes/${failed}`, 'paper', {media: 'print'});
await browser.close();
