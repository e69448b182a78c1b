// Somebody who may only look: sees everything, is offered nothing, and what
// they would forge is refused. The operator can.
import {assert, story} from '../lib.mjs';

const [, , , viewer, operator, hash] = process.argv;

await story(async ({page, context, url, browser}) => {
  async function logIn(who, name, password) {
    await who.goto(url);
    await who.waitForURL(/\/login$/);
    await who.getByLabel('Name').fill(name);
    await who.getByLabel('Password').fill(password);
    await who.getByRole('button', {name: /Log in/}).click();
    await who.waitForURL(url);
  }

  assert.equal((await context.request.get(`${url}api/v1/nodes`)).status(), 401, 'nobody reads without a login');
  await logIn(page, 'wall', viewer);

  // the board and a machine, whose answer file has no secret
  await page.getByText('wall · viewer').waitFor();
  await page.waitForFunction(() => document.querySelectorAll('.cell').length === 2);
  await page.locator('[data-node="n1"]').click();
  await page.getByRole('heading', {name: 'n1', level: 1}).waitFor();
  await page.getByText('wall looks on').first().waitFor();
  await page.locator('pre', {hasText: 'rootpw'}).waitFor();
  const text = await page.locator('pre', {hasText: 'rootpw'}).innerText();
  assert.ok(!text.includes(hash), 'the hash of the password is masked');
  assert.match(text, /rootpw.*\*\*\*|rootpw.*MASKED|rootpw.*masked/i);

  // no page offers anything
  for (const path of ['', 'nodes/n1', 'batch', 'plan', 'images', 'jobs', 'events', 'report', 'start', 'settings', 'roles']) {
    await page.goto(url + path);
    await page.locator('main h1').first().waitFor({state: 'attached'});
    const names = await page.locator('main').getByRole('button').allInnerTexts();
    assert.deepEqual(names.filter((n) => /install|disarm|power|boot|adopt|apply|force|verify|remove|cancel|serve|look|check|BMC/i.test(n)), [], `${path} offers an action`);
    assert.equal(await page.locator('main input[type="file"]').count(), 0, `${path} takes a file`);
    await page.keyboard.press('i');
    assert.equal(await page.getByRole('dialog').count(), 0, `${path}: a key opens an action`);
  }

  // what they would send by hand is refused, and changes nothing
  await page.goto(url);
  await page.waitForSelector('.cell');
  const send = (who, method, path, body) => who.evaluate(async ([m, p, b]) => {
    const r = await fetch(p, {method: m, headers: {'Content-Type': 'application/json'}, body: m === 'GET' || m === 'DELETE' ? undefined : JSON.stringify(b || {})});
    return {status: r.status, text: await r.text()};
  }, [method, path, body]);
  for (const [method, path, body] of [
    ['POST', '/api/v1/arm', {selector: 'all', by: 'wei'}], ['POST', '/api/v1/disarm', {selector: 'all'}], ['POST', '/api/v1/jobs', {verb: 'power', args: ['off'], selector: 'all'}],
    ['PUT', '/api/v1/plan', {plan: 'site: x\n'}], ['POST', '/api/v1/nodes', {who: '52:54:00:00:00:09', name: 'n9', role: 'compute'}], ['DELETE', '/api/v1/nodes/n1'],
    ['POST', '/api/v1/plan/role', {role: 'compute', set: {swap_size: '8GiB'}}], ['GET', '/api/v1/plan'], ['GET', '/api/v1/nodes/n1/render?secrets=true'], ['DELETE', '/api/v1/images/rocky9'],
  ]) {
    const {status, text: said} = await send(page, method, path, body);
    assert.equal(status, 403, `${method} ${path}: ${said}`);
    assert.match(said, /ask an operator/);
  }
  await page.waitForFunction(() => document.querySelectorAll('.cell[data-state="planned"]').length === 2); // nothing changed

  // in Chinese the reason is Chinese
  await page.getByRole('button', {name: '中文'}).click();
  await page.goto(`${url}nodes/n1`);
  await page.getByText('wall 为只读用户').first().waitFor();

  // the operator has the actions, and the log has the name that was logged in
  const other = await browser.newContext({ignoreHTTPSErrors: true, locale: 'en-GB'});
  const desk = await other.newPage();
  await logIn(desk, 'wei', operator);
  await desk.goto(`${url}nodes/n1`);
  await desk.getByRole('button', {name: 'Disarm…'}).click();
  await desk.getByRole('dialog').getByRole('button', {name: 'Disarm…'}).waitFor();
  await desk.keyboard.press('Escape');
  const done = await send(desk, 'POST', '/api/v1/disarm', {selector: 'n1', by: 'somebody else', reason: 'a test'});
  assert.equal(done.status, 200, done.text);
  assert.equal((await send(desk, 'GET', '/api/v1/plan')).status, 200);

  // whoever logs out is out
  await page.getByRole('button', {name: '退出'}).click();
  await page.waitForURL(/\/login$/);
  assert.equal((await context.request.get(`${url}api/v1/nodes`)).status(), 401);
}, {context: {ignoreHTTPSErrors: true}});
