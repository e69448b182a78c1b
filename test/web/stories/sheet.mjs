// A sheet with a bad cell: the cell is named, the other rows are taken, the
// plan is checked in place and put in force.
import {assert, story} from '../lib.mjs';

const sheet = ['机柜,U位,序列号,MAC地址,主机名,角色,管理IP',
  'B01,11,2102311TUF10K9000001,52:54:00:aa:00:01,extra-01,base,127.20.9.1',
  'B01,13,2102311TUF10K9000002,52:54:00:aa:00,extra-02,base,127.20.9.2'].join('\n');

await story(async ({page, url}) => {
  await page.goto(url + 'plan');
  await page.waitForFunction(() => document.querySelector('#plan-text').value.includes('site: demo'));
  await page.getByText('can be put in force', {exact: false}).waitFor();
  const before = await page.inputValue('#plan-text');

  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.getByRole('button', {name: /Asset sheet/}).click()]);
  await chooser.setFiles({name: '资产表.csv', mimeType: 'text/csv', buffer: Buffer.from(sheet)});
  const report = page.getByRole('region', {name: /Sheet/}).first();
  await report.waitFor();
  // what the sheet leaves open is named with what decides it
  await report.getByText('say which network it is', {exact: false}).waitFor();
  await report.getByLabel('Columns', {exact: false}).fill('管理IP=provision');
  await report.getByRole('button', {name: 'Read it again'}).click();
  await report.getByText('extra-01', {exact: false}).first().waitFor();
  const said = await report.innerText();
  assert.match(said, /D3/, 'the bad cell is named by its place');
  assert.match(said, /52:54:00:aa:00/, 'and shown');
  assert.match(said, /extra-01/, 'the good row would be taken');

  await report.getByRole('button', {name: /leave out the rows above/}).click();
  await page.waitForFunction((old) => document.querySelector('#plan-text').value !== old, before);
  const text = await page.inputValue('#plan-text');
  assert.ok(text.includes('extra-01') && !text.includes('extra-02'));
  assert.ok(text.startsWith(before.slice(0, 40)), 'what was written stays');

  // a mistake is shown where it is
  await page.fill('#plan-text', text.replace('dhcp: server', 'dhcp: sever'));
  const place = page.getByRole('button', {name: /^line 3, column/}).first();
  await place.waitFor();
  await page.waitForFunction(() => document.querySelector('.numbers [data-severity="error"]')?.textContent === '3');
  await place.click();
  assert.match(await page.evaluate(() => { const e = document.activeElement; return e.value.slice(e.selectionStart, e.selectionEnd); }), /sever/);

  await page.fill('#plan-text', text);
  await page.getByText('can be put in force', {exact: false}).waitFor();
  await page.getByRole('button', {name: 'Put in force'}).click();
  await page.getByText('In force:', {exact: false}).waitFor();
  await page.goto(url);
  await page.getByRole('heading', {name: 'Rack B01'}).waitFor();
  await page.locator('[data-node="extra-01"]').waitFor();
});
