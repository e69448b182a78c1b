// What is said of the machine, as it is said: the log, the installer, the console.
import * as api from '../../lib/api.js';
import {fill, h, perFrame} from '../../lib/dom.js';
import {commandLine} from '../../lib/dialog.js';
import {t, time} from '../../lib/i18n.js';
import {kindName, named, sourceName, whatName} from '../../lib/names.js';
import {said} from '../../lib/said.js';
import {follow} from '../../lib/sse.js';
import {command} from '../../actions/shell.js';
import {eventText} from '../events.js';

const kept = 500;

/** @param {import('../../main.js').App} app @param {string} name */
export function logPanel(app, name) {
  const list = h('ol.log.tail', {tabindex: '0', 'aria-label': t('log.title')});
  const element = h('section.panel', {'aria-label': t('log.title')}, h('h2', null, t('log.title')), list, commandLine(command('events', '--follow')));
  /** @type {{at: string, source: string, what?: string, name?: string, text: string}[]} */
  let lines = [];

  const show = perFrame(() => fill(list, lines.length ? lines.map((l) => h('li', null, h('time', {datetime: l.at}, time(l.at)), h('span.source', {data: {source: l.source}}, sourceName(l.source)), h('span.said', null, l.what ? named('strong', l.what, l.name) : null, l.what && l.text ? ' · ' : '', l.text))) : h('li.empty', null, t('log.none'))));

  function add(more) {
    lines = [...lines, ...more].sort((a, b) => (a.at < b.at ? 1 : -1)).slice(0, kept); // the newest first
    show();
  }

  const ofEvent = (e) => ({at: e.at, source: 'log', what: e.kind, name: kindName(e.kind), text: eventText(e)});
  const spoken = new Set(['syslog', 'console']); // by the machine itself
  const ofEntry = (e) => (spoken.has(e.source) ? {at: e.at, source: e.source, text: [e.name, e.detail].filter(Boolean).join(': ')}
    : {at: e.at, source: e.source, what: e.what, name: whatName(e), text: [e.name, said(e.detail), said(e.cause)].filter(Boolean).join(' · ')});
  const unsubscribe = app.store.subscribe((change) => {
    const mine = change.events.filter((e) => e.subject === name).map(ofEvent);
    if (mine.length) add(mine);
  });
  api.events({selector: name}).then((past) => {
    const seen = new Set(lines.map((l) => l.at + l.what + l.text));
    add(past.map(ofEvent).filter((l) => !seen.has(l.at + l.what + l.text)));
  }, () => show());

  // Syslog and console come with the flight recorder, live; a daemon without one has none. A tab that nobody sees
  // leaves its connection to the others.
  let end = new AbortController();
  let since = new Date().toISOString();
  let none = false;
  function listen() {
    end.abort();
    end = new AbortController();
    if (document.hidden || none) return;
    follow({
      url: () => `/api/v1/nodes/${encodeURIComponent(name)}/timeline?` + new URLSearchParams({since}),
      last: '', signal: end.signal,
      take: (messages) => take(messages.map((m) => JSON.parse(m.data)).filter((e) => e.source)),
      tell: (live, status) => {
        if (status !== 404 && status !== 405) return;
        none = true;
        end.abort();
      },
    });
  }

  function take(entries) {
    if (!entries.length) return;
    since = entries.at(-1).at;
    const seen = new Set(lines.map((l) => l.at + l.source + l.text));
    add(entries.filter((e) => e.source !== 'log').map(ofEntry).filter((l) => !seen.has(l.at + l.source + l.text)));
  }
  document.addEventListener('visibilitychange', listen);
  listen();
  show();
  return {element, close() { unsubscribe(); document.removeEventListener('visibilitychange', listen); end.abort(); }};
}
