// A full zero-touch install is watched to green; the machine that failed is
// explained and tried again.
import {assert, story, until} from '../lib.mjs';

const machines = Number(process.argv[3]); // of which one's installer breaks off

await story(async ({page, url}) => {
  await page.goto(url);
  await page.waitForSelector('.cell');
  assert.equal(await page.locator('.cell').count(), machines);
  await page.getByText('1 failed', {exact: false}).first().waitFor();
  await until(page, (n) => document.querySelector('.run p').textContent.includes(`${n} of`) && document.querySelector('.run p').textContent.includes('nothing is under way'), machines - 1);
  const labels = await page.locator('.cell').evaluateAll((cells) => cells.map((c) => c.textContent));
  assert.equal(labels.filter((l) => l.endsWith('ready')).length, machines - 1, `labels: ${labels}`);

  // the filter is the command line's
  await page.fill('#filter', 'state=failed');
  await page.waitForFunction(() => document.querySelectorAll('.cell:not(.dim)').length === 1);
  assert.match(page.url(), /selector=state%3Dfailed/);
  await page.fill('#filter', 'role=');
  await page.getByText('selector', {exact: false}).first().waitFor();

  const failing = await page.locator('.cell[data-state="failed"]').getAttribute('data-node');

  // the batch groups failures by cause, with the fix and the way to do it again
  await page.goto(`${url}batch?selector=state%3Dfailed`);
  const cause = page.locator('.cause', {hasText: failing});
  await cause.getByText('Next step:').waitFor();
  assert.match(await cause.innerText(), new RegExp(`does not install[\\s\\S]*rackseed install ${failing}`));
  await cause.getByRole('button', {name: 'Install again…'}).click();
  await page.getByRole('dialog').getByLabel(`Type ${failing} to confirm`).waitFor();
  await page.keyboard.press('Escape');

  // a deep link says why, and what to do
  await page.goto(`${url}nodes/${failing}`);
  await page.getByRole('heading', {name: failing, level: 1}).waitFor();
  await page.getByText('does not install', {exact: false}).first().waitFor();
  await page.getByText('Next step:').first().waitFor();
  await page.getByText('What it would be told now').waitFor();
  await page.locator('.decision').waitFor();
  const answer = await page.locator('pre').last().innerText();
  assert.match(answer, /preseed/);

  // tried again: the dialog shows the serial number and the disk, and asks
  await page.getByRole('button', {name: 'Install again…'}).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('RS24DEMO', {exact: false}).first().waitFor();
  const go = dialog.getByRole('button', {name: /Wipe and install/});
  assert.ok(await go.isDisabled(), 'it asks for a confirmation first');
  await dialog.getByLabel(`Type ${failing} to confirm`).fill(failing);
  assert.match(await dialog.locator('code').innerText(), new RegExp(`rackseed install ${failing}`));
  await go.click();
  await page.waitForURL(/\/jobs\//);
  await page.goto(`${url}nodes/${failing}`);
  await until(page, () => [...document.querySelectorAll('.facts > div')].some((d) => d.textContent === 'Attempt2'));

  // the batch: one cause, its fix, the machine
  await page.goto(`${url}batch?selector=all`);
  await page.locator('svg.gantt rect.phase').first().waitFor({state: 'attached'});
});
