// What stands around every view: header, navigation, banners, shortcuts.
import * as api from './lib/api.js';
import {announce, coded, fill, h, setText} from './lib/dom.js';
import {openDialog} from './lib/dialog.js';
import {t} from './lib/i18n.js';
import {mayAct, session} from './lib/session.js';
import {said} from './lib/said.js';
import {save, settings} from './lib/settings.js';

const places = [
  {path: '/', label: () => t('nav.board'), keys: 'g b', below: /^\/nodes\//},
  {path: '/batch', label: () => t('nav.batch'), keys: 'g r'},
  {path: '/plan', label: () => t('nav.plan'), keys: 'g p', below: /^\/roles$/},
  {path: '/images', label: () => t('nav.images'), keys: 'g i'},
  {path: '/jobs', label: () => t('nav.jobs'), keys: 'g j', below: /^\/jobs\//},
  {path: '/events', label: () => t('nav.events'), keys: 'g e'},
  {path: '/report', label: () => t('nav.report'), keys: 'g h'},
  {path: '/start', label: () => t('nav.start'), keys: 'g s'},
];

/** @param {import('./main.js').App} app */
export function shell(app) {
  const {store} = app;
  const site = h('a.site', {href: '/'}, t('app.name'));
  const links = places.map((p) => h('a', {href: p.path}, p.label()));
  const line = h('span.line', {role: 'status'});
  const banner = h('div.banner', {role: 'status', hidden: true});
  let noted = '';
  const who = h('span.who');
  const main = h('main', {id: 'main', tabindex: '-1'});
  const frame = h('div.frame', null,
    h('a.skip', {href: '#main', onclick: (e) => { e.preventDefault(); main.focus(); }}, t('nav.skip')),
    h('header.top', null,
      h('div.brand', null, h('img', {src: '/assets/icon.svg', alt: '', width: 24, height: 24}), site),
      h('nav', {'aria-label': t('nav.label')}, links),
      h('div.tools', null, line, who,
        h('button.quiet', {type: 'button', onclick: otherLanguage, lang: settings.language === 'zh' ? 'en' : 'zh-CN'}, settings.language === 'zh' ? 'English' : '中文'),
        h('button.quiet.theme', {type: 'button', onclick: otherTheme, 'aria-label': t('settings.theme.switch'), title: t('settings.theme.switch')}, '◐'),
        h('button.quiet.keyboard', {type: 'button', onclick: help, 'aria-label': t('help.title'), title: t('help.title')}, '?'),
        h('a.quiet.button', {href: '/settings', 'aria-label': t('nav.settings'), title: t('nav.settings')}, '⚙'))),
    banner, main);
  fill(document.getElementById('app'), frame);

  const bound = [
    ...places.map((p) => app.shortcuts.bind(p.keys, p.label, () => app.router.go(p.path))),
    app.shortcuts.bind('g ,', () => t('nav.settings'), () => app.router.go('/settings')),
    app.shortcuts.bind('d', () => t('settings.theme.switch'), otherTheme),
    app.shortcuts.bind('?', () => t('help.title'), help),
  ];
  const unsubscribe = store.subscribe((change) => change.connection && connection());
  connection();

  function connection() {
    const {status, live} = store;
    fill(site, status?.site ? [h('span.product', null, `${t('app.name')} · `), status.site] : t('app.name'));
    line.className = 'line ' + (live ? 'live' : 'away');
    setText(line, live ? t('line.live') : t('line.away'));
    const note = live ? said(status?.serving?.note || status?.serving?.plan) : t('line.away.long');
    banner.hidden = !note;
    if (noted === (noted = note || '')) return; // what is said again would be read out again
    fill(banner, coded(noted));
  }

  if (session.name) {
    fill(who, h('span.person', null, `${session.name} · ${mayAct() ? t('session.operator') : t('session.viewer')}`),
      h('button.quiet', {type: 'button', onclick: () => api.logout().then(() => location.assign('/login'))}, t('session.leave')));
  }

  function otherLanguage() {
    save({language: settings.language === 'zh' ? 'en' : 'zh'});
    app.relabel().then(() => announce(t('settings.language.now')));
  }

  function otherTheme() {
    const dark = settings.theme === 'dark' || (settings.theme === 'auto' && matchMedia('(prefers-color-scheme: dark)').matches);
    save({theme: dark ? 'light' : 'dark'});
  }

  function help() {
    openDialog(t('help.title'), () => [
      settings.shortcuts ? null : h('p', null, t('help.off')),
      h('dl.keys', null, app.shortcuts.list().map((s) => h('div', null,
        h('dt', null, s.keys.split(' ').map((k) => h('kbd', null, k))), h('dd', null, s.label()))))]);
  }

  return {
    /** @param {import('./lib/router.js').View} view @param {string} path @param {boolean} moved */
    show(view, path, moved) {
      fill(main, view.element);
      document.title = `${view.title} · ${t('app.name')}`;
      links.forEach((link, i) => {
        const here = places[i].path === path ? 'page' : places[i].below?.test(path) ? 'true' : '';
        if (!here) return link.removeAttribute('aria-current');
        link.setAttribute('aria-current', here);
        const nav = link.parentElement; // which a phone scrolls
        nav.scrollLeft = link.offsetLeft - nav.offsetLeft - (nav.clientWidth - link.offsetWidth) / 2;
      });
      if (!moved) return;
      main.focus({preventScroll: true});
      scrollTo(0, 0);
      announce(view.title);
    },
    close() {
      unsubscribe();
      bound.forEach((unbind) => unbind());
    },
  };
}
