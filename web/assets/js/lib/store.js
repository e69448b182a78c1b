// The page's copy of the machines: loaded once, then the fold of the events
// since. It holds no truth of its own, and can be thrown away at any time.
import * as api from './api.js';
import {fold, refetchAll} from './fold.js';
import {follow} from './sse.js';

/** @typedef {import('./fold.js').Machine} Machine */
/** @typedef {import('./fold.js').Event} Event */

/**
 * @typedef {object} Change what happened since the last frame
 * @property {Set<string>} names machines that changed, came or went
 * @property {boolean} all the list was loaded anew
 * @property {Event[]} events
 * @property {boolean} connection the line came or went, or the status is another
 */

const keptEvents = 1000;
const window = 20_000; // events that are folded one by one after a sleep; behind more, the list is loaded anew
const hiddenFor = 10_000; // ms; after that a page that nobody sees leaves the stream: a browser has six connections for all its tabs

export class Store {
  /** @type {Map<string, Machine>} */
  nodes = new Map();
  /** @type {any} */
  status = undefined;
  /** @type {Event[]} the newest last */
  events = [];
  /** @type {import('./run.js').InstallJob | undefined} the latest install by BMC */
  install = undefined;
  seq = 0;
  live = true; // until the line is known to be down
  loaded = false;

  #listeners = new Set();
  #change = empty();
  #frame = 0;
  #asked = new Set();
  #reload = 0;
  #stream = new AbortController();
  #hidden = 0;

  /** @param {(change: Change) => void} listener @returns {() => void} that ends it */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Loads the machines and follows the log until the page ends. */
  async start() {
    document.addEventListener('visibilitychange', () => this.#visibility());
    for (let wait = 500; ; wait = Math.min(wait * 2, 10_000)) {
      try {
        await this.load();
        break;
      } catch {
        this.#connection(false);
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
    this.#follow();
  }

  async load() {
    const [{nodes, seq}, status, install] = await Promise.all([api.nodes(), api.status(), latestInstall()]);
    this.nodes = new Map();
    for (const {next, why, ...machine} of nodes) this.nodes.set(machine.name, machine);
    for (const event of this.events) if (event.seq > seq) this.#apply(event); // that came while the list was on its way
    this.seq = Math.max(this.seq, seq);
    this.status = status;
    this.install = install;
    this.loaded = true;
    this.#change.all = this.#change.connection = true;
    this.#flushSoon();
  }

  /** Brings in the newest part of the log from before the page was opened. */
  async recall() {
    const first = this.events[0]?.seq ?? this.seq + 1;
    if (first <= 1 || this.events.length >= keptEvents / 2) return;
    const older = await api.events({since: Math.max(0, first - 1 - keptEvents / 2), limit: keptEvents / 2});
    this.events.unshift(...older.filter((e) => e.seq < first));
  }

  async refreshStatus() {
    this.status = await api.status();
    this.#change.connection = true;
    this.#flushSoon();
  }

  #follow() {
    this.#stream = new AbortController();
    if (document.hidden) return this.#stream.abort(); // a tab in the background follows once it is seen
    follow({
      url: () => '/api/v1/events?' + new URLSearchParams({since: String(this.seq), window: String(window)}),
      last: String(this.seq),
      signal: this.#stream.signal,
      take: (messages) => this.#take(messages),
      tell: (live, status) => {
        if (status === 401) api.needLogin();
        if (live && !this.live) this.refreshStatus().catch(() => {});
        this.#connection(live);
      },
    });
  }

  /** A page that nobody sees costs the daemon nothing; it catches up when it is seen. */
  #visibility() {
    clearTimeout(this.#hidden);
    if (document.hidden) {
      this.#hidden = setTimeout(() => this.#stream.abort(), hiddenFor);
    } else if (this.#stream.signal.aborted) {
      this.#follow();
    }
  }

  #connection(live) {
    if (this.live === live) return;
    this.live = live;
    this.#change.connection = true;
    this.#flushSoon();
  }

  /** @param {import('./sse.js').Message[]} messages */
  async #take(messages) {
    for (const m of messages) {
      if (m.kind === 'reset') {
        await this.load(); // the events in between are not sent
        continue;
      }
      this.#fold(JSON.parse(m.data));
    }
    this.#flushSoon();
  }

  /** @param {Event} event */
  #fold(event) {
    if (event.seq <= this.seq) return; // the list was newer than the stream
    this.seq = event.seq;
    this.events.push(event);
    if (this.events.length > 2 * keptEvents) this.events.splice(0, keptEvents);
    this.#change.events.push(event);
    this.#foldJob(event);
    this.#apply(event);
  }

  /** @param {Event} event */
  #apply(event) {
    fold(this.nodes, event, (name, what) => {
      if (name === refetchAll) this.#reloadSoon();
      else if (what) this.#askSoon(name);
      else this.#change.names.add(name);
    });
  }

  /** @param {Event} event */
  #foldJob({kind, body, at}) {
    if (kind === 'job-queued' && body.verb === 'install') this.install = {id: body.id, targets: new Set(body.targets), queued: at};
    else if (kind === 'job-ended' && body.id === this.install?.id) this.install = {...this.install, ended: at};
    else if (kind === 'job-resumed' && body.id === this.install?.id) this.install = {...this.install, ended: undefined};
  }

  #flushSoon() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      const change = this.#change;
      this.#change = empty();
      for (const listener of [...this.#listeners]) listener(change);
    });
  }

  /** A plan brings thousands of events; the list is loaded once they have passed. */
  #reloadSoon() {
    clearTimeout(this.#reload);
    this.#reload = setTimeout(() => this.load().catch(() => this.#reloadSoon()), 500);
  }

  /** Asks for one machine after an event of a kind that this page does not know. */
  #askSoon(name) {
    if (this.#asked.size === 0) {
      setTimeout(async () => {
        const names = [...this.#asked];
        this.#asked.clear();
        for (const n of names) await this.#ask(n).catch(() => {});
      }, 300);
    }
    this.#asked.add(name);
  }

  async #ask(name) {
    const found = await api.node(name);
    if (found) {
      const {next, why, ...machine} = found;
      this.nodes.set(machine.name, machine);
    } else if (this.nodes.get(name)?.state !== 'seen') {
      this.nodes.delete(name);
    }
    this.#change.names.add(name);
    this.#flushSoon();
  }
}

async function latestInstall() {
  const list = (await api.jobs()).filter((j) => j.verb === 'install').sort((a, b) => (a.queued < b.queued ? 1 : -1));
  if (!list.length) return undefined;
  const {id, queued, ended, results} = await api.job(list[0].id);
  return {id, queued, ended, targets: new Set((results || []).map((r) => r.target))};
}

/** @returns {Change} */
const empty = () => ({names: new Set(), all: false, events: [], connection: false});
