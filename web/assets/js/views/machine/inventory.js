// What the machine was found to be, beside what the plan says.
import * as api from '../../lib/api.js';
import {h} from '../../lib/dom.js';
import {commandLine} from '../../lib/dialog.js';
import {bytes, dateTime, has, t} from '../../lib/i18n.js';
import {healthName, linkName, sourceName} from '../../lib/names.js';
import {table} from '../../actions/form.js';
import {command, quote} from '../../actions/shell.js';
import {panel} from './panel.js';

/** @param {string} name */
export function inventoryPanel(name) {
  return panel(t('inventory.title'), async () => {
    const found = await api.inventory(name);
    const look = commandLine(command('inventory', quote(name)));
    if (!found?.found) return [h('p.empty', null, t('inventory.none')), look];
    return [
      h('p.hint', null, t('inventory.from', {source: sourceName(found.found.source), at: dateTime(found.found.at)})),
      table(t('inventory.title'), [t('inventory.what'), t('inventory.planned'), t('inventory.found')], compare(found.planned || {}, found.found)), look];
  });
}

/** Rows of what is planned and what is there; what differs is marked. */
function compare(planned, found) {
  const rows = [
    [t('machine.serial'), planned.serial, found.serial], [t('machine.uuid'), planned.uuid, found.uuid],
    [t('inventory.model'), undefined, [found.manufacturer, found.model].filter(Boolean).join(' ')], [t('inventory.firmware'), undefined, found.firmware],
    [t('inventory.health'), undefined, healthName(found.health)], ...hardware(planned.hardware || {}, found.hardware || {}),
    ...(found.nics || []).map((n) => [n.name || t('inventory.nic'), plannedNIC(planned, n), [n.mac, linkName(n.link), n.speed && t('inventory.speed', {n: n.speed}), n.neighbour?.switch && `${n.neighbour.switch} ${n.neighbour.port || ''}`].filter(Boolean).join(' ')]),
  ];
  return rows.filter(([, p, f]) => p || f).map(([what, p, f]) => [what, lines(p) || '–', differs(p, f) ? h('strong.differs', null, lines(f) || t('inventory.missing')) : p && p === f ? h('span.same', null, t('inventory.same')) : lines(f) || '–']);
}
/** Several of a kind, each on its line. */
const lines = (value) => (Array.isArray(value) ? value.map((v) => h('div', null, v)) : value);

const differs = (p, f) => Boolean(p) && String(p).toLowerCase() !== String(f || '').toLowerCase() && !String(f || '').toLowerCase().includes(String(p).toLowerCase());

const plannedNIC = (planned, nic) => (planned.macs || []).find((m) => m === nic.mac);

/** Every figure that either side has, under its own name. */
function hardware(planned, found) {
  const keys = [...new Set([...Object.keys(planned), ...Object.keys(found)])];
  return keys.map((k) => [has(`hardware.${k}`) ? t(`hardware.${k}`) : k.replaceAll('_', ' '), figure(k, planned[k]), figure(k, found[k])]);
}

function figure(key, value) {
  if (value === undefined || value === null) return undefined;
  if (Array.isArray(value)) return value.map((v) => (typeof v === 'object' ? Object.values(v).filter((x) => typeof x !== 'object').map((x) => (typeof x === 'number' && x > 1e6 ? bytes(x) : x)).join(' ') : String(v)));
  if (typeof value === 'object') return Object.entries(value).map(([k, v]) => `${k} ${v}`).join(', ');
  if (typeof value === 'number' && /bytes|memory|size/.test(key) && value > 1e6) return bytes(value);
  return String(value);
}
