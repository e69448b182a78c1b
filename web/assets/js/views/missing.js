// What is shown where there is nothing.
import {h} from '../lib/dom.js';
import {t} from '../lib/i18n.js';

export function missingView() {
  return {title: t('missing.title'), element: h('div.page', null, h('h1', null, t('missing.title')), h('p', null, t('missing.about')), h('p', null, h('a', {href: '/'}, t('nav.board'))))};
}
