// The log as it grows.
import {h, perFrame, setText, fill} from '../lib/dom.js';
import {commandLine} from '../lib/dialog.js';
import {dateTime, t} from '../lib/i18n.js';
import {kindName, messageText, named} from '../lib/names.js';
import {said} from '../lib/said.js';
import {stageName} from '../lib/states.js';
import {command} from '../actions/shell.js';
import {field} from '../actions/form.js';

const shown = 300;

/** What an event says, in a line. @param {import('../lib/fold.js').Event} e */
export function eventText(e) {
  const b = e.body || {};
  return [b.stage && stageName(b.stage), said(b.detail), said(b.reason), said(b.what), messageText(b.message), b.file, b.image?.name, b.deviations?.map(said).join('; '), b.by && `(${b.by})`].filter(Boolean).join(' · ');
}

/** One line of the log. @param {import('../lib/fold.js').Event} e */
export function eventLine(e) {
  const planned = e.subject && !e.kind.startsWith('image-') && !e.kind.startsWith('job-ended') && !e.kind.startsWith('job-queued');
  return h('li', {data: {kind: e.kind}}, h('time', {datetime: e.at}, dateTime(e.at)), named('span.kind', e.kind, kindName(e.kind)),
    planned ? h('a', {href: '/nodes/' + encodeURIComponent(e.subject)}, e.subject) : h('span', null, e.subject || ''), h('span.said', null, eventText(e)));
}

/** @param {import('../main.js').App} app @param {Record<string, string>} _ @param {URLSearchParams} query */
export function eventsView(app, _, query) {
  const list = h('ol.log', {'aria-label': t('nav.events')});
  const word = h('input', {type: 'search', value: query.get('q') || '', oninput: () => show(), autocomplete: 'off'});
  const hint = h('p.empty', null, t('events.waiting'));
  const element = h('div.page.broad', null, h('h1', null, t('nav.events')), h('p.lead', null, t('events.about')), field(t('events.filter'), word), hint, list, commandLine(command('events', '--follow')));
  const show = perFrame(() => {
    const text = word.value.trim().toLowerCase();
    const match = (e) => !text || `${e.kind} ${kindName(e.kind)} ${e.subject || ''} ${eventText(e)}`.toLowerCase().includes(text);
    const found = [];
    for (let i = app.store.events.length - 1; i >= 0 && found.length < shown; i--) if (match(app.store.events[i])) found.push(app.store.events[i]);
    hint.hidden = found.length > 0;
    setText(hint, app.store.events.length ? t('events.nomatch') : t('events.waiting'));
    fill(list, found.map(eventLine));
  });
  let last = 0;
  let timer = 0;
  const unsubscribe = app.store.subscribe((change) => {
    if (!change.events.length || timer) return;
    timer = setTimeout(() => { timer = 0; last = Date.now(); show(); }, Math.max(0, 250 - (Date.now() - last))); // nobody reads faster
  });
  show();
  let recalled = false;
  const recall = () => {
    if (recalled || !app.store.loaded) return; // before that nobody knows where the log ends
    recalled = true;
    app.store.recall().then(show, () => {});
  };
  const unrecall = app.store.subscribe(recall);
  recall();
  return {title: t('nav.events'), element, close() { unsubscribe(); unrecall(); clearTimeout(timer); }};
}
