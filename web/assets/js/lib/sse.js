// Server-sent events over fetch: unlike EventSource it hands over every kind of
// event, whole batches at a time, and says when the daemon wants a login.

/** @typedef {{id: string, kind: string, data: string}} Message */

/** Parses the text of an event stream (WHATWG HTML section 9.2.6) as it arrives. */
export class Parser {
  rest = '';

  /** @param {string} text @returns {Message[]} the messages that are now complete */
  push(text) {
    const blocks = (this.rest + text).split('\n\n');
    this.rest = blocks.pop() ?? '';
    const messages = [];
    for (const block of blocks) {
      const m = message(block);
      if (m) messages.push(m);
    }
    return messages;
  }
}

/** @param {string} block */
function message(block) {
  const m = {id: '', kind: 'message', data: ''};
  let any = false;
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    if (colon < 1) continue; // a comment keeps the line alive
    const value = line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1));
    const field = line.slice(0, colon);
    if (field === 'id') m.id = value;
    else if (field === 'event') m.kind = value;
    else if (field === 'data') {
      m.data += (any ? '\n' : '') + value;
      any = true;
    }
  }
  return any ? m : undefined;
}

const silence = 45_000; // three heartbeats of the daemon
const firstWait = 500;
const longestWait = 10_000;

/**
 * Follows a stream until signal ends it: after every end it goes on from the
 * last message that was taken.
 * @param {object} o
 * @param {(last: string) => string} o.url
 * @param {string} o.last id of the last message that is known
 * @param {(messages: Message[]) => void | Promise<void>} o.take
 * @param {(live: boolean, status?: number) => void} o.tell
 * @param {AbortSignal} o.signal
 */
export async function follow({url, last, take, tell, signal}) {
  let wait = firstWait;
  while (!signal.aborted) {
    try {
      await once(url(last), last, signal, async (messages) => {
        wait = firstWait;
        await take(messages);
        for (const m of messages) if (m.id) last = m.id;
      }, tell);
    } catch (e) {
      if (signal.aborted) return;
      tell(false, e instanceof Refused ? e.status : 0);
    }
    tell(false);
    await pause(wait * (0.75 + Math.random() / 2), signal);
    wait = Math.min(wait * 2, longestWait);
  }
}

class Refused extends Error {
  constructor(status) {
    super(`status ${status}`);
    this.status = status;
  }
}

async function once(url, last, signal, take, tell) {
  const attempt = new AbortController();
  const stop = () => attempt.abort();
  signal.addEventListener('abort', stop);
  let watchdog = setTimeout(stop, silence);
  try {
    const headers = {Accept: 'text/event-stream', ...(last && {'Last-Event-ID': last})};
    const response = await fetch(url, {headers, signal: attempt.signal, cache: 'no-store'});
    if (!response.ok || !response.body) throw new Refused(response.status);
    tell(true);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new Parser();
    for (;;) {
      const {value, done} = await reader.read();
      if (done) return;
      clearTimeout(watchdog);
      watchdog = setTimeout(stop, silence);
      const messages = parser.push(value);
      if (messages.length) await take(messages);
    }
  } finally {
    clearTimeout(watchdog);
    signal.removeEventListener('abort', stop);
    attempt.abort();
  }
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve(undefined);
    });
  });
}
