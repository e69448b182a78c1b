// What the stories share: a browser, a page that may not complain, and checks.
import {strict as assert} from 'node:assert';
import {chromium} from 'playwright-core';

export {assert};

const patience = 60_000; // ms; a condition that takes longer will not come

/**
 * Tells one story in a browser of its own, and fails on whatever the page
 * complains about.
 * @param {(o: {page: import('playwright-core').Page, context: import('playwright-core').BrowserContext, url: string, browser: any}) => Promise<void>} tell
 */
export async function story(tell, options = {}) {
  const url = process.argv[2];
  const browser = await open(options.args);
  try {
    const context = await browser.newContext({viewport: {width: 1280, height: 800}, locale: 'en-GB', ...options.context});
    context.setDefaultTimeout(patience);
    const page = await context.newPage();
    const complaints = listen(page);
    await tell({page, context, url, browser});
    assert.deepEqual(complaints, [], 'the page complained');
  } catch (e) {
    console.error(e);
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
}

export const open = (args = []) => chromium.launch({executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox', ...args]});

/** Collects script errors and breaches of the policy; an answer such as 404 is no complaint. */
export function listen(page) {
  const complaints = [];
  page.on('pageerror', (e) => complaints.push(e.message));
  page.on('console', (m) => {
    if (m.type() === 'error' && !m.text().startsWith('Failed to load resource')) complaints.push(m.text());
  });
  return complaints;
}

/** Waits for a condition in the page. */
export const until = (page, condition, arg) => page.waitForFunction(condition, arg, {timeout: patience, polling: 100});
