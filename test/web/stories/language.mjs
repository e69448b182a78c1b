// The language is switched, on every page, and stays.
import {assert, story} from '../lib.mjs';

await story(async ({page, url}) => {
  const keys = Object.keys(await (await fetch(`${url}assets/i18n/en.json`)).json());
  await page.goto(url);
  await page.waitForSelector('.cell');
  await page.getByRole('button', {name: '中文'}).click();
  await page.getByRole('link', {name: '看板'}).first().waitFor();
  assert.equal(await page.getAttribute('html', 'lang'), 'zh-CN');
  for (const path of ['', 'batch', 'plan', 'images', 'jobs', 'events', 'report', 'roles', 'start', 'settings', 'nodes/node-01', 'nowhere']) {
    await page.goto(url + path);
    await page.locator('main h1').first().waitFor({state: 'attached'});
    const text = await page.locator('body').innerText();
    assert.deepEqual(keys.filter((k) => text.split(/\s/).includes(k)), [], `${path} shows keys`);
    assert.match(text, /[\u4e00-\u9fff]/, `${path} has Chinese text`);
    assert.match(await page.title(), /Rackseed/);
  }

  // what the daemon says is Chinese, too: why a machine failed, and what to do
  const failed = (await (await fetch(`${url}api/v1/nodes`)).json()).find((n) => n.state === 'failed');
  if (failed) {
    await page.goto(`${url}nodes/${failed.name}`);
    await page.locator('.why p', {hasText: '无法安装'}).waitFor();
    const why = await page.locator('.why').innerText();
    assert.ok(!why.includes(failed.reason) && !why.includes(failed.fix), why);
    await page.locator('.decision', {hasText: '磁盘已被清除'}).waitFor();
  }

  await page.goto(url + 'settings');
  await page.getByLabel('语言').selectOption('en');
  await page.getByRole('heading', {name: 'Settings'}).waitFor();
  assert.equal(await page.getAttribute('html', 'lang'), 'en');

  // the zone of the times
  await page.getByLabel('Time zone').selectOption('UTC');
  const utc = await page.getByText('Now it is').innerText();
  await page.getByLabel('Time zone').selectOption('Asia/Shanghai');
  assert.notEqual(await page.getByText('Now it is').innerText(), utc);
  await page.getByLabel('Colours').selectOption('dark');
  assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme), 'dark');
});
