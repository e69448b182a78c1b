// The flight recorder as a picture: phases, with a mark for each packet and report.
import * as api from '../../lib/api.js';
import {coded, h} from '../../lib/dom.js';
import {commandLine} from '../../lib/dialog.js';
import {gantt, legend, phaseName} from '../../lib/gantt.js';
import {duration, followed, t, time} from '../../lib/i18n.js';
import {named, sourceName, whatName} from '../../lib/names.js';
import {mayAct} from '../../lib/session.js';
import {said} from '../../lib/said.js';
import {command, quote} from '../../actions/shell.js';
import {panel} from './panel.js';

const shown = 400; // entries in the list; the newest

/** @param {string} name */
export function timelinePanel(name) {
  return panel(t('timeline.title'), async () => {
    const line = await api.timeline(name);
    const same = commandLine(command('node', 'show', quote(name), '--timeline'));
    if (!line || !(line.entries?.length || line.phases?.length)) return [h('p.empty', null, t('gantt.none')), same];
    const entries = line.entries || [];
    const phases = line.phases || [];
    const marks = entries.map((e) => ({at: e.at, source: e.source, text: entryText(e)}));
    return [
      phases.length ? [gantt([{label: '', phases, marks: marks.filter((m) => inside(m, phases))}], {now: Date.now(), label: t('timeline.picture')}), legend(new Set(phases.map((p) => p.name)))] : null,
      phases.some((p) => p.note) ? h('ul.notes', null, phases.filter((p) => p.note).map((p) => h('li', null, h('strong', null, phaseName(p.name)), ' ', t('pair', {what: duration(Date.parse(p.end) - Date.parse(p.begin)), value: said(p.note)})))) : null,
      causes(line.findings || []),
      line.attempt && mayAct() ? h('p', null, h('a', {href: `/api/v1/nodes/${encodeURIComponent(name)}/pcap?attempt=${line.attempt}`, download: `${name}.pcap`}, t('timeline.pcap'))) : null,
      h('details', null, h('summary', null, t('timeline.entries', {n: entries.length})),
        h('ol.log', null, entries.slice(-shown).reverse().map((e) => h('li', null, h('time', {datetime: e.at}, time(e.at)), named('span.source', e.source, sourceName(e.source)), h('span.said', null, entryText(e)))))),
      same];
  }, {wide: true});
}

const entryText = (e) => [['syslog', 'console'].includes(e.source) ? '' : whatName(e), ['syslog', 'console'].includes(e.source) ? e.detail : said(e.detail), said(e.cause)].filter(Boolean).join(' · ');

const inside = (mark, phases) => mark.at >= phases[0].begin && (phases.at(-1).end.startsWith('0001') || mark.at <= phases.at(-1).end);

/** What the recorder understood, with the next step. @param {any[]} findings */
function causes(findings) {
  if (!findings.length) return null;
  return h('ul.findings', {'aria-label': t('timeline.causes')}, findings.map((f) => h('li', {data: {severity: f.normal ? 'ok' : 'warning'}},
    h('time', {datetime: f.at}, time(f.at)), ` ${said(f.cause)}`, f.next ? h('p.fix', null, h('strong', null, followed(t('batch.fix'))), coded(said(f.next))) : null)));
}
