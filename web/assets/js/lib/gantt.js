// Bars of time, as SVG: phases with their marks, one row or many.
import {fill, h, svg} from './dom.js';
import {duration, t, time} from './i18n.js';
import {has} from './i18n.js';
import {said} from './said.js';

/**
 * @typedef {{name: string, begin: string, end: string, note?: string}} Phase
 * @typedef {{at: string, source: string, text: string}} Mark
 * @typedef {{label: string, href?: string, phases: Phase[], marks?: Mark[], state?: string}} Row
 */

const rowHeight = 22;
const axisHeight = 22;

export const phaseName = (name) => (has(`phase.${name}`) ? t(`phase.${name}`) : name);

/**
 * Draws rows on one axis. Where rows begin at different times and are to be
 * compared, align sets each to its own beginning.
 * @param {Row[]} rows @param {{align?: boolean, now: number, label: string, width?: number}} o
 */
export function gantt(rows, o) {
  const width = o.width || 960;
  const labelled = rows.length > 1 || rows[0]?.label;
  const left = labelled ? 150 : 0;
  const spans = rows.map((r) => span(r, o.now));
  const origin = o.align ? 0 : Math.min(...spans.map((s) => s.begin));
  const end = Math.max(...spans.map((s) => (o.align ? s.end - s.begin : s.end)));
  const scale = (width - left - 8) / Math.max(1, end - origin);
  const height = rows.length * rowHeight + axisHeight;
  const ticks = axis(end - origin, (width - left) / 110);
  const drawing = svg('svg.gantt', {viewBox: `0 0 ${width} ${height}`, role: rows.some((r) => r.href) ? 'group' : 'img', 'aria-label': o.label},
    ticks.filter((at) => left + at * scale < width - 48).map((at) => {
      const x = left + at * scale;
      return [svg('line.tick', {x1: x, x2: x, y1: 0, y2: height - axisHeight}),
        svg('text.axis', {x: x + 3, y: height - 7}, o.align ? duration(at) : time(new Date(origin + at).toISOString()))];
    }),
    rows.map((row, i) => drawRow(row, i * rowHeight, (ms) => left + (ms - (o.align ? spans[i].begin : origin)) * scale, o.now)));
  return h('div.scroll', {tabindex: '0', role: 'region', 'aria-label': o.label}, drawing);
}

function drawRow(row, y, x, now) {
  const label = row.label ? svg('text.label', {x: 0, y: y + 15}, short(row.label)) : null;
  return svg('g', null,
    label && row.href ? svg('a', {href: row.href, 'aria-label': row.label}, label) : label,
    row.phases.map((p) => {
      const begin = Date.parse(p.begin);
      const end = endOf(p, now);
      const text = `${phaseName(p.name)}: ${duration(end - begin)}${p.note ? ` · ${said(p.note)}` : ''}`;
      return svg('rect.phase', {x: x(begin), y: y + 3, width: Math.max(1, x(end) - x(begin)), height: rowHeight - 6, rx: 2, 'data-phase': p.name}, svg('title', null, text));
    }),
    (row.marks || []).map((m) => svg('path.mark', {d: `M${x(Date.parse(m.at)).toFixed(1)} ${y + 1}v${rowHeight - 2}`, 'data-source': m.source}, svg('title', null, `${time(m.at)} ${m.text}`))));
}

const short = (label) => (label.length > 19 ? '…' + label.slice(-18) : label);

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
  return h('ul.legend', {'aria-label': t('gantt.legend')}, [...names].map((n) => h('li', null, h('span.swatch', {data: {phase: n}}), phaseName(n))));
}

/** Takes the place of a drawing where nothing was recorded. */
export function notRecorded(box) {
  return fill(box, h('p.empty', null, t('gantt.none')));
}
