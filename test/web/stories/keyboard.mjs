// Everything by keyboard: no step of this story uses a mouse.
import {assert, story} from '../lib.mjs';

const focused = (page) => page.evaluate(() => document.activeElement?.dataset?.node || document.activeElement?.id || document.activeElement?.textContent);

await story(async ({page, url}) => {
  await page.goto(url);
  await page.waitForSelector('.cell');
  await page.keyboard.press('Tab');
  assert.match(await focused(page), /Skip/);
  await page.keyboard.press('Enter');
  assert.equal(await focused(page), 'main');

  // the board is one stop of Tab, and arrows go from there
  await page.focus('.cell[tabindex="0"]');
  const first = await focused(page);
  await page.keyboard.press('ArrowDown');
  const second = await focused(page);
  assert.notEqual(second, first);
  await page.keyboard.press('ArrowUp');
  assert.equal(await focused(page), first);
  await page.keyboard.press('End');
  const last = await focused(page);
  await page.keyboard.press('Home');
  assert.equal(await focused(page), first);
  assert.notEqual(last, first);
  assert.equal(await page.locator('.cell[tabindex="0"]').count(), 1);

  // marked with x, and acted on with i
  await page.keyboard.press('x');
  await page.getByText('1 machine', {exact: true}).waitFor();
  await page.keyboard.press('i');
  const dialog = page.getByRole('dialog');
  await dialog.getByText('to confirm', {exact: false}).waitFor();
  await page.keyboard.press('Escape');
  await dialog.waitFor({state: 'detached'});
  assert.equal(await focused(page), first, 'the focus is given back');

  // into the machine and back
  await page.keyboard.press('Enter');
  await page.getByRole('heading', {name: first, level: 1}).waitFor();
  assert.equal(await focused(page), 'main');
  await page.keyboard.press('g');
  await page.keyboard.press('b');
  await page.waitForSelector('.cell');

  // the filter
  await page.keyboard.press('/');
  assert.equal(await focused(page), 'filter');
  await page.keyboard.type(first);
  await page.waitForFunction(() => document.querySelectorAll('.cell:not(.dim)').length === 1);
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => document.querySelectorAll('.cell.dim').length === 0);

  // help, and every place that it lists
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('?');
  await page.getByRole('heading', {name: 'Keyboard shortcuts'}).waitFor();
  assert.ok((await page.locator('.keys dt').count()) > 10);
  await page.keyboard.press('Escape');
  for (const [key, name] of [['r', 'Batch'], ['p', 'Plan'], ['i', 'Images'], ['j', 'Jobs'], ['e', 'Events'], ['h', 'Report'], ['s', 'First steps'], [',', 'Settings']]) {
    await page.keyboard.press('g');
    await page.keyboard.press(key);
    await page.getByRole('heading', {name, level: 1}).waitFor();
  }

  // shortcuts can be switched off
  await page.getByLabel('Keyboard shortcuts of one key').focus();
  await page.keyboard.press('Space');
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('?');
  assert.equal(await page.getByRole('dialog').count(), 0);
});
