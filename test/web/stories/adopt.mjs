// A machine that nobody planned stands apart on the board, and is adopted
// from its page; nothing is installed by that.
import {assert, story} from '../lib.mjs';

const mac = process.argv[3];

await story(async ({page, url}) => {
  await page.goto(`${url}?selector=state%3Dseen`);
  await page.getByRole('heading', {name: 'On the wire, not in the plan'}).waitFor();
  await page.locator(`[data-node="${mac}"]`).click();
  await page.getByRole('heading', {name: mac, level: 1}).waitFor();
  await page.getByRole('button', {name: 'Adopt…'}).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name', {exact: true}).fill('found-01');
  await dialog.getByLabel('Role').fill('compute');
  await dialog.getByLabel('Rack').fill('B07');
  assert.equal(await dialog.locator('code').innerText(), `rackseed node adopt ${mac} --name found-01 --role compute --rack B07`);
  await dialog.getByRole('button', {name: 'Adopt…'}).click();
  await page.waitForURL(/\/nodes\/found-01$/);
  await page.locator('.badge[data-state="planned"]').waitFor();
  await page.goto(url);
  await page.getByRole('heading', {name: 'Rack B07'}).waitFor();
  assert.equal(await page.getByRole('heading', {name: 'On the wire, not in the plan'}).count(), 0, 'it is no stranger any more');
});
