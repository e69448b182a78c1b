// Login, where the daemon is reached from elsewhere than its own machine.
import * as api from '../lib/api.js';
import {h} from '../lib/dom.js';
import {actButton, errorBox} from '../lib/dialog.js';
import {t} from '../lib/i18n.js';
import {field} from '../actions/form.js';

/** @param {import('../main.js').App} app @param {Record<string, string>} _ @param {URLSearchParams} query */
export function loginView(app, _, query) {
  const user = h('input', {type: 'text', autocomplete: 'username', value: 'operator'});
  const password = h('input', {type: 'password', autocomplete: 'current-password'});
  const box = errorBox();
  const to = query.get('to') || '/';
  const go = actButton(t('login.go'), async () => {
    await api.login(user.value, password.value);
    location.assign(to.startsWith('/') && !to.startsWith('//') ? to : '/');
  }, {box});
  const form = h('form.login', {onsubmit: (e) => { e.preventDefault(); go.click(); }}, h('h1', null, t('login.title')), h('p.lead', null, t('login.about')),
    field(t('login.user'), user), field(t('login.password'), password), box, h('div.buttons', null, go));
  return {title: t('login.title'), element: form};
}
