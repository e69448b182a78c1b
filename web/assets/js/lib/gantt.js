// Bars of time: phases with their marks, one row or many. Places are shares of
// the width, so that a picture fits a phone and a wall as it is.
import {h, svg} from './dom.js';
import {duration, has, t, time} from './i18n.js';
import {said} from './said.js';

/**
 * @typedef {{name: string, begin: string, end: string, note?: string}} Phase
 * @typedef {{at: string, source: string, text: string}} Mark
 * @typedef {{label: string, href?: string, phases: Phase[], marks?: Mark[]}} Row
 */

const rowHeight = 24; // pixels, as .gantt-names has it
const axisHeight = 20;
const many = 12; // rows, above which the axis stands at the top, too

/** Phases as they follow each other. */
const order = ['post', 'dhcp', 'loader', 'kernel', 'stage2', 'install', 'partition', 'packages', 'configure', 'reboot', 'post-again', 'verify'];

export const phaseName = (name) => (has(`phase.${name}`) ? t(`phase.${name}`) : name);

/**
 * Draws rows on one axis.
 * @param {Row[]} rows @param {{now: number, label: string}} o
 */
export function gantt(rows, o) {
  const labelled = rows.some((r) => r.label);
  const spans = rows.map((r) => span(r, o.now));
  const origin = Math.min(...spans.map((s) => s.begin));
  const length = Math.max(1, ...spans.map((s) => s.end - origin));
  const x = (ms, from = origin) => `${((100 * (ms - from)) / length).toFixed(3)}%`;
  const top = rows.length > many ? axisHeight : 0;
  const height = top + rows.length * rowHeight + axisHeight;
  const room = document.documentElement.clientWidth - (labelled ? 240 : 80);
  const drawing = svg('svg.gantt', {height, role: 'img', 'aria-label': o.label},
    axis(length, Math.max(2, room / 90)).map((at) => [
      svg('line.tick', {x1: x(origin + at), x2: x(origin + at), y1: top, y2: height - axisHeight}),
      at / length < 0.94 ? [...(top ? [14] : []), height - 5].map((y) => svg('text.axis', {x: x(origin + at), y, dx: 3}, time(new Date(origin + at).toISOString()))) : null]),
    rows.map((row, i) => drawRow(row, top + i * rowHeight, x, o.now)));
  if (!labelled) return drawing;
  const names = rows.map((r) => h('li', null, r.href ? h('a', {href: r.href, title: r.label}, r.label) : r.label));
  return h('div.gantt-rows', null, h('ol.gantt-names', {vars: {top: `${top}px`}}, names), drawing);
}

function drawRow(row, y, x, now) {
  return svg('g', null,
    row.phases.map((p) => {
      const [begin, end] = [Date.parse(p.begin), endOf(p, now)];
      const text = [row.label, t('pair', {what: phaseName(p.name), value: duration(end - begin)}), said(p.note)].filter(Boolean).join(' · ');
      return svg('rect.phase', {x: x(begin), y: y + 3, width: x(Math.max(end, begin + 1), begin), height: rowHeight - 6, rx: 2, 'data-phase': p.name}, svg('title', null, text));
    }),
    (row.marks || []).map((m) => svg('line.mark', {x1: x(Date.parse(m.at)), x2: x(Date.parse(m.at)), y1: y, y2: y + rowHeight, 'data-source': m.source}, svg('title', null, `${time(m.at)} ${m.text}`))));
}

const endOf = (p, now) => (p.end && !p.end.startsWith('0001') ? Date.parse(p.end) : now);

function span(row, now) {
  const begins = [...row.phases.map((p) => Date.parse(p.begin)), ...(row.marks || []).map((m) => Date.parse(m.at))];
  const ends = [...row.phases.map((p) => endOf(p, now)), ...(row.marks || []).map((m) => Date.parse(m.at))];
  return begins.length ? {begin: Math.min(...begins), end: Math.max(...ends)} : {begin: now, end: now};
}

const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400].map((s) => s * 1000);

/** Round times, no more of them than fit. */
function axis(length, most) {
  const step = steps.find((s) => length / s <= most) || length;
  const ticks = [];
  for (let at = 0; at <= length; at += step) ticks.push(at);
  return ticks;
}

/** @param {Iterable<string>} names of the phases that are drawn */
export function legend(names) {
  return h('ul.legend', {'aria-label': t('gantt.legend')}, [...names].sort((a, b) => order.indexOf(a) - order.indexOf(b)).map((n) => h('li', null, h('span.swatch', {data: {phase: n}}), phaseName(n))));
}
