// What one person prefers in this browser.
import {h} from '../lib/dom.js';
import {dateTime, t} from '../lib/i18n.js';
import {save, settings} from '../lib/settings.js';
import {check, choice, field, person} from '../actions/form.js';

/** @param {import('../main.js').App} app */
export function settingsView(app) {
  const now = h('p.hint');
  const show = () => (now.textContent = t('settings.now', {at: dateTime(new Date().toISOString())}));
  const zones = [['browser', t('settings.zone.browser')], ['site', t('settings.zone.site')], ['UTC', 'UTC'], ...Intl.supportedValuesOf('timeZone').map((z) => [z, z])];
  const keys = check(t('settings.shortcuts'), settings.shortcuts, () => save({shortcuts: keys.input.checked}));
  const element = h('div.page', null, h('h1', null, t('nav.settings')), h('p.lead', null, t('settings.about')),
    field(t('settings.language'), choice([['zh', '中文'], ['en', 'English']], settings.language, (v) => { save({language: v === 'zh' ? 'zh' : 'en'}); app.relabel(); })),
    field(t('settings.theme'), choice([['auto', t('settings.theme.auto')], ['light', t('settings.theme.light')], ['dark', t('settings.theme.dark')]], settings.theme, (v) => save({theme: /** @type {any} */ (v)}))),
    field(t('settings.zone'), choice(zones, settings.zone, (v) => { save({zone: v}); show(); })), now,
    person(), keys.element, h('p.hint', null, t('settings.shortcuts.hint')));
  show();
  return {title: t('nav.settings'), element};
}
