// The first minute: a daemon without a plan leads; an ISO is dropped, hashed
// and verified; a sheet becomes a plan that says what it still lacks.
import {assert, story} from '../lib.mjs';

const iso = process.argv[3];
const sheet = 'Rack,U,Serial,MAC,Name,Role\nA01,3,2102311TUF10K9000001,52:54:00:aa:00:01,cs-controller-01,controller';

const choose = async (page, button, file) => {
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), button.click()]);
  await chooser.setFiles(file);
};

await story(async ({page, url}) => {
  await page.goto(url);
  await page.waitForURL(/\/start$/);
  await page.getByText('no network interface is chosen yet', {exact: false}).first().waitFor();
  await page.getByRole('button', {name: 'Serve this network'}).waitFor();
  await page.getByRole('button', {name: 'Check this network first'}).click();
  await page.locator('.findings li').first().waitFor();
  assert.ok((await page.locator('.findings li').count()) > 4, 'doctor looked at several things');

  await choose(page, page.getByRole('button', {name: /An ISO/}), iso);
  await page.getByText('sha256', {exact: false}).waitFor();
  await page.locator('.steps > li.done').first().waitFor();

  await choose(page, page.getByRole('button', {name: /Asset sheet/}), {name: 'assets.csv', mimeType: 'text/csv', buffer: Buffer.from(sheet)});
  await page.getByRole('button', {name: /Take 1 change/}).click();
  await page.waitForURL(/\/plan$/);
  await page.waitForFunction(() => document.querySelector('#plan-text').value.includes('cs-controller-01'));
  await page.locator('.findings li[data-severity="error"]').first().waitFor(); // what a sheet cannot say

  await page.goto(url + 'images');
  await page.getByRole('button', {name: /^Verify /}).click();
  await page.getByText('It is what was added.').waitFor();

  // something that is no ISO is refused in words
  await page.goto(url + 'images');
  await choose(page, page.getByRole('button', {name: /An ISO/}), {name: 'page.iso', mimeType: 'application/octet-stream', buffer: Buffer.from('<html>')});
  await page.getByText('page.iso', {exact: false}).first().waitFor();
  assert.equal((await page.locator('tbody tr').count()), 1);
});
