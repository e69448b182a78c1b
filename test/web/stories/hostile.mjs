// A page of another origin can neither read nor trigger anything: not by
// fetch, form, event stream, frame or image, and not by a name that is bound
// to the daemon's address.
import {createServer} from 'node:http';
import {assert, listen, open} from '../lib.mjs';

const url = process.argv[2];
const target = new URL(url);
const digest = async () => JSON.stringify(await (await fetch(`${url}api/v1/nodes`)).json());
const jobs = async () => (await (await fetch(`${url}api/v1/jobs`)).json()).length;

const attack = `<!doctype html><title>evil</title><iframe id="frame" src="${url}"></iframe><form id="form" method="post" enctype="text/plain" target="sink" action="${url}api/v1/arm"><input name='{"selector":"all","by":"evil","x":"' value='"}'></form><iframe name="sink"></iframe>`;
const server = createServer((_, response) => response.setHeader('Content-Type', 'text/html').end(attack));
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const evil = `http://evil.test:${server.address().port}/`;
const rebound = `http://rebound.test:${target.port}/`;

const browser = await open([`--host-resolver-rules=MAP evil.test 127.0.0.1, MAP rebound.test ${target.hostname}`]);
try {
  const before = [await digest(), await jobs()];
  const page = await browser.newPage();
  listen(page);
  await page.goto(evil);
  const read = await page.evaluate(async (url) => {
    const got = [];
    const attempt = async (what, init) => {
      try {
        const r = await fetch(url + what, init);
        const text = await r.text();
        if (text) got.push(`${what}: ${text.slice(0, 80)}`);
      } catch { /* refused, as it should be */ }
    };
    for (const path of ['', 'api/v1/nodes', 'api/v1/plan', 'api/v1/status', 'api/v1/events', 'assets/js/main.js', 'metrics']) {
      for (const mode of ['cors', 'no-cors']) await attempt(path, {mode});
    }
    for (const type of ['text/plain', 'application/json', 'application/x-www-form-urlencoded']) {
      for (const [path, method] of [['arm', 'POST'], ['jobs', 'POST'], ['plan', 'PUT'], ['images/debian13', 'DELETE'], ['images/upload', 'POST']]) {
        for (const mode of ['cors', 'no-cors']) await attempt(`api/v1/${path}`, {method, mode, headers: {'Content-Type': type}, body: '{"selector":"all","by":"evil","verb":"power","args":["off"]}', credentials: 'include'});
      }
    }
    await new Promise((resolve) => {
      const source = new EventSource(`${url}api/v1/events`);
      source.onmessage = (e) => { got.push(`event: ${e.data}`); resolve(); };
      source.onerror = () => { source.close(); resolve(); };
    });
    await new Promise((resolve) => {
      const image = new Image();
      image.onload = () => { got.push('image'); resolve(); };
      image.onerror = resolve;
      image.src = `${url}assets/icon.svg`;
    });
    await new Promise((resolve) => {
      const script = document.createElement('script');
      script.type = 'module';
      script.onload = () => { got.push('script'); resolve(); };
      script.onerror = resolve;
      script.src = `${url}assets/js/lib/api.js`;
      document.head.append(script);
    });
    document.getElementById('form').submit();
    await new Promise((resolve) => { setTimeout(resolve, 500); }); // a form has no answer that its page could await
    return got;
  }, url);
  assert.deepEqual(read, [], 'another origin read something');
  const frame = page.frames().find((f) => f.url().startsWith(url));
  assert.ok(!frame || !(await frame.evaluate(() => document.querySelector('#app')?.children.length > 0).catch(() => false)), 'the page can be framed');

  const answer = await page.goto(rebound);
  assert.equal(answer.status(), 421, 'a name that is bound to the address is not ours');
  const api = await page.goto(`${rebound}api/v1/nodes`);
  assert.equal(api.status(), 421);
  assert.deepEqual([await digest(), await jobs()], before, 'something was changed');
} catch (e) {
  console.error(e);
  process.exitCode = 1;
} finally {
  await browser.close();
  server.close();
}
