// What the machine would be served, with its secrets masked.
import * as api from '../../lib/api.js';
import {fill, h} from '../../lib/dom.js';
import {commandLine} from '../../lib/dialog.js';
import {t} from '../../lib/i18n.js';
import {choice, field} from '../../actions/form.js';
import {command, quote} from '../../actions/shell.js';
import {panel} from './panel.js';

const documents = ['', 'kickstart', 'preseed', 'autoinstall', 'bundle', 'ipxe', 'grub', 'dhcp'];

/** @param {string} name */
export function answerPanel(name) {
  const text = h('pre', {tabindex: '0', 'aria-label': t('answer.title')});
  const line = h('div');
  let as = '';
  const pick = choice(documents.map((d) => [d, d || t('answer.own')]), '', (value) => { as = value; p.load().catch((e) => fill(text, e.message)); });
  const p = panel(t('answer.title'), async () => {
    fill(line, commandLine(command('render', quote(name), as && `--as ${as}`)));
    try {
      fill(text, await api.render(name, as || undefined));
    } catch (e) {
      fill(text, e.message || t('error.away')); // a document that does not fit this machine says why
    }
    return undefined;
  }, {wide: true});
  p.element.classList.add('noprint'); // it takes forty sheets
  p.body.append(field(t('answer.as'), pick), h('p.hint', null, t('answer.masked')), text, line);
  return p;
}
