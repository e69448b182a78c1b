// A place to drop a file on, which is a file button for everybody else.
import {h} from '../lib/dom.js';
import {t} from '../lib/i18n.js';

/** @param {string} label @param {string} accept endings, with commas @param {(file: File) => any} take */
export function dropZone(label, accept, take) {
  const error = h('p.error', {role: 'alert'});
  const give = async (file) => {
    if (!file) return;
    error.textContent = '';
    try {
      await take(file);
    } catch (e) {
      error.textContent = e.message || t('error.away');
    }
  };
  const input = h('input', {type: 'file', accept, hidden: true, 'aria-label': label, onchange: async () => { await give(input.files[0]); input.value = ''; }});
  const zone = h('div.drop', {
    ondragover: (e) => { e.preventDefault(); zone.classList.add('over'); },
    ondragleave: () => zone.classList.remove('over'),
    ondrop: (e) => { e.preventDefault(); zone.classList.remove('over'); give(e.dataTransfer.files[0]); },
  }, h('p', null, label), input, h('button', {type: 'button', 'aria-label': `${t('drop.choose')}: ${label}`, onclick: () => input.click()}, t('drop.choose')), error);
  return zone;
}
