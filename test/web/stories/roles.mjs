// A role is edited: its parameters with what they are for, what would change
// for which machines, and only then the plan in force; comments stay.
import {assert, story} from '../lib.mjs';

const [, , , operator] = process.argv;

await story(async ({page, context, url}) => {
  await page.goto(url);
  await page.getByLabel('Name').fill('wei');
  await page.getByLabel('Password').fill(operator);
  await page.getByRole('button', {name: /Log in/}).click();
  await page.waitForURL(url);

  await page.goto(`${url}nodes/n1`);
  await page.getByRole('link', {name: 'compute', exact: true}).click();
  await page.waitForURL(/\/roles\?role=compute/);
  await page.getByText('Size of the swap volume; 0 for none.').waitFor();

  // a new role begins as this one; it is checked, and not put in force here
  await page.getByRole('button', {name: 'New role like this…'}).click();
  await page.getByRole('button', {name: 'What would change'}).click();
  assert.equal(await page.locator('.diff').count(), 0, 'it wants a name first');
  await page.getByLabel('Its name').fill('compute-swap');
  await page.getByLabel('swap_size').fill('16GiB');
  await page.getByRole('button', {name: 'What would change'}).click();
  await page.locator('.diff ins', {hasText: /compute-swap: .*swap_size: 16GiB/}).waitFor();
  await page.getByText('No machine has this role yet', {exact: false}).waitFor();
  await page.getByText('rackseed plan role compute-swap --from compute --set swap_size=16GiB --plan plan.yaml --write').waitFor();
  await page.getByLabel('Role', {exact: true}).selectOption('compute');
  await page.reload();

  // nothing to show before something is changed
  await page.getByRole('button', {name: 'What would change'}).click();
  await page.getByText('Nothing is changed yet.').waitFor();

  // a value that the profile does not take is found by the check, and cannot be put in force
  await page.getByLabel('swap_size').fill('a lot');
  await page.getByRole('button', {name: 'What would change'}).click();
  await page.locator('.findings li[data-severity="error"]').first().waitFor();
  assert.ok(await page.getByRole('button', {name: 'Put in force'}).isDisabled());

  // one that it takes: before, after, machines, text
  await page.getByLabel('swap_size').fill('8GiB');
  await page.getByRole('button', {name: 'What would change'}).click();
  await page.locator('.diff ins', {hasText: 'swap_size: 8GiB'}).waitFor();
  await page.getByText('It concerns 2 machines: n1, n2').waitFor();
  await page.getByText('rackseed plan apply plan.yaml').waitFor();
  const text = async () => (await context.request.get(`${url}api/v1/plan`)).text();
  const before = await text();
  assert.ok(!before.includes('8GiB'), 'nothing is in force before somebody says so');
  await page.getByRole('button', {name: 'Put in force'}).click();
  await page.waitForFunction(() => document.querySelector('[aria-label="swap_size"]')?.value === '8GiB' && !document.querySelector('.diff'));
  const after = await text();
  assert.match(after, /swap_size: 8GiB/);
  assert.match(after, /# asked for on Friday/, 'comments stay');

  // and back to the profile
  await page.getByLabel('swap_size').fill('');
  await page.getByRole('button', {name: 'What would change'}).click();
  await page.locator('.diff del', {hasText: 'swap_size'}).waitFor();
  await page.getByRole('button', {name: 'Put in force'}).click();
  await page.waitForFunction(() => document.querySelector('[aria-label="swap_size"]')?.value === '' && !document.querySelector('.diff'));
  assert.equal(await text(), before, 'as it was written');
}, {context: {ignoreHTTPSErrors: true}});
