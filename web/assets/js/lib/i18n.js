// One catalogue for each language, web/i18n/LANGUAGE.json. A Go test refuses a
// key that one of them lacks, that no code uses, or that no catalogue has.
import {learn} from './said.js';
import {settings} from './settings.js';

/** @type {Record<string, string | Record<string, string>>} */
let catalogue = {};
let plural = new Intl.PluralRules('en');
let siteZone = '';

/** @param {'zh' | 'en'} language */
export async function loadLanguage(language) {
  const read = async (name) => (await fetch(`/assets/i18n/${name}.json`)).json();
  const [texts, daemon] = await Promise.all([read(language), language === 'zh' ? read('daemon.zh') : undefined]);
  catalogue = texts;
  learn(daemon, (id) => (typeof texts[id] === 'string' ? texts[id] : undefined));
  plural = new Intl.PluralRules(language);
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
}

/**
 * The text of a key; {name} stands for a value. A text with several forms is
 * chosen by the value n.
 * @param {string} id
 * @param {Record<string, any>} [values]
 */
export function t(id, values) {
  let text = catalogue[id];
  if (text === undefined) return id;
  if (typeof text !== 'string') text = text[plural.select(Number(values?.n))] ?? text.other;
  if (!values) return text;
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === 'number' ? number(value) : String(value);
  });
}

/** A text that another one follows: full-width punctuation brings its own space. @param {string} text */
export const followed = (text) => (/[：。；，]$/.test(text) ? text : `${text} `);

/** Whether the catalogue has a text: names of stages and phases come from the daemon, and may be newer. */
export function has(id) {
  return id in catalogue;
}

const locale = () => (settings.language === 'zh' ? 'zh-CN' : 'en-GB');

export function number(n, digits = 0) {
  return new Intl.NumberFormat(locale(), {maximumFractionDigits: digits}).format(n);
}

export function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let i = 0;
  for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
  return `${number(n, i ? 1 : 0)} ${units[i]}`;
}

export function setSiteZone(zone) {
  siteZone = zone;
}

/** The zone that times are shown in; undefined is the browser's. */
function zone() {
  if (settings.zone === 'browser') return undefined;
  if (settings.zone === 'site') return siteZone || undefined;
  return settings.zone;
}

/** @type {Map<string, Intl.DateTimeFormat>} */
const formats = new Map();

/** Dates are 2026-11-22 in both languages: nobody takes the day for the month. */
function format(kind, options) {
  const id = [kind, zone()].join();
  let f = formats.get(id);
  if (!f) formats.set(id, (f = new Intl.DateTimeFormat('sv-SE', {...options, hourCycle: 'h23', timeZone: zone()})));
  return f;
}

export const time = (at) => (at ? format('time', {hour: '2-digit', minute: '2-digit', second: '2-digit'}).format(new Date(at)) : '');

export const dateTime = (at) =>
  at ? format('date', {year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit'}).format(new Date(at)) : '';

/** A length of time in its two largest units. @param {number} ms */
export function duration(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (ms > 0 && ms < 1000) return t('unit.ms', {n: Math.round(ms)});
  if (s < 60) return t('unit.s', {n: s});
  if (s < 3600) return t('unit.ms2', {m: Math.floor(s / 60), s: String(s % 60).padStart(2, '0')});
  return t('unit.hm', {h: Math.floor(s / 3600), m: String(Math.floor((s % 3600) / 60)).padStart(2, '0')});
}
