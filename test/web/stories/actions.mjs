// What an engineer does from the page to one machine: asks its BMC, follows
// its console, arms it without power, takes that back, downloads the report.
// Each form names the command that does the same.
import {assert, story, until} from '../lib.mjs';

const node = process.argv[3];

await story(async ({page, url}) => {
  await page.goto(`${url}nodes/${node}`);
  await page.getByRole('heading', {name: node, level: 1}).waitFor();

  // what is there beside what is planned; the flight recorder as a picture
  await page.getByText('as planned').first().waitFor();
  await page.locator('svg.gantt rect.phase').first().waitFor({state: 'attached'});
  assert.ok(await page.locator('svg.gantt line.mark').count() > 3, 'packets and reports are marked');
  await page.locator('.facts', {hasText: 'RS24DEMO'}).waitFor();

  // what it would be served, in another format, with secrets masked
  await page.getByLabel('As', {exact: true}).selectOption('dhcp');
  await page.locator('pre', {hasText: 'DHCP'}).last().waitFor();
  await page.getByText(`rackseed render ${node} --as dhcp`).waitFor();

  // the BMC is asked
  await page.getByRole('button', {name: 'Power state'}).click();
  await page.locator('.facts > div', {hasText: /^Power stateon$/}).waitFor();
  await page.getByText(`rackseed power status ${node}`).waitFor();

  // its console is followed, and not any more
  await page.getByRole('button', {name: 'Follow the console for an hour'}).click();
  await page.getByRole('button', {name: 'Stop following'}).click();
  await page.getByRole('button', {name: 'Follow the console for an hour'}).waitFor();

  // armed without power: the log beside says so without a reload
  await page.getByRole('button', {name: 'Install…'}).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel(/Boot order and power by BMC/).uncheck();
  assert.match(await dialog.locator('code').innerText(), new RegExp(`rackseed install ${node} --no-power`));
  await dialog.getByLabel('Reason').fill('a story');
  await dialog.getByLabel(`Type ${node} to confirm`).fill(node);
  await dialog.getByRole('button', {name: /Wipe and install/}).click();
  await dialog.waitFor({state: 'detached'});
  await page.locator('.badge[data-state="armed"]').waitFor();
  await page.locator('.log .said', {hasText: 'a story'}).first().waitFor();

  // and taken back
  await page.getByRole('button', {name: 'Disarm…'}).click();
  await dialog.getByText(`rackseed disarm ${node}`).waitFor();
  await dialog.getByRole('button', {name: 'Disarm…'}).click();
  await page.locator('.badge[data-state="planned"]').waitFor();

  // power of several, as a job whose page says how each fared
  await page.getByRole('button', {name: 'Power…'}).click();
  await dialog.getByText(`rackseed power status ${node}`).waitFor();
  await dialog.getByRole('button', {name: 'Do it'}).click();
  await page.waitForURL(/\/jobs\//);
  await until(page, () => [...document.querySelectorAll('tbody tr')].some((r) => /done/.test(r.textContent)));

  // the boot device names its command before anything is done
  await page.goto(`${url}nodes/${node}`);
  await page.getByRole('button', {name: 'Boot device…'}).click();
  await dialog.getByText(`rackseed bootdev set ${node} pxe --once`).waitFor();
  await dialog.getByLabel('Always, not only once').check();
  await dialog.getByText(`rackseed bootdev set ${node} pxe --persistent`).waitFor();
  await page.keyboard.press('Escape');

  // the report, in each format
  await page.goto(`${url}report`);
  for (const format of ['HTML', 'XLSX', 'JSON']) {
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', {name: `Report as ${format}`}).click()]);
    assert.match(download.suggestedFilename(), new RegExp(`report\\.${format.toLowerCase()}$`));
    assert.equal(await download.failure(), null);
  }

  // an address that leads to the log shows what happened before it was opened
  await page.goto(`${url}events`);
  await page.locator('.log li', {hasText: 'a story'}).first().waitFor();
});
