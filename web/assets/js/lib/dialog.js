// Dialogs on the browser's own <dialog>: it keeps the focus inside, closes on
// Escape and gives the focus back.
import {append, h} from './dom.js';
import {followed, t} from './i18n.js';

/**
 * Opens a dialog.
 * @param {string} title
 * @param {(close: () => void) => import('./dom.js').Child} content
 * @param {{wide?: boolean, onclose?: () => void}} [o]
 */
export function openDialog(title, content, o = {}) {
  const heading = h('h2', {id: 'dialog-title', tabindex: '-1', autofocus: true}, title); // long content is read from its beginning
  const close = () => dialog.close();
  const dialog = h('dialog', {'aria-labelledby': 'dialog-title', class: o.wide ? 'wide' : '', onclose: () => {
    dialog.remove();
    o.onclose?.();
    back?.isConnected && back.focus();
  }},
  h('header.dialog-head', null, heading, h('button.quiet', {type: 'button', 'aria-label': t('dialog.close'), onclick: close}, '✕')));
  const back = document.activeElement instanceof HTMLElement ? document.activeElement : undefined;
  append(dialog, [content(close)]);
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** The line that names the commands which do the same. @param {...string} texts */
export function commandLine(...texts) {
  return h('p.command', null, h('span', null, followed(t('action.same'))), texts.map((text, i) => [i ? ' ' : '', h('code', null, text)]));
}

/** Where a form says what went wrong. */
export function errorBox() {
  return h('div.error', {role: 'alert'});
}

/**
 * A button that works once at a time and says what went wrong.
 * @param {string} label @param {() => Promise<any>} run @param {{kind?: string, box: HTMLElement, disabled?: boolean}} o
 */
export function actButton(label, run, o) {
  const button = h(`button.${o.kind || 'primary'}`, {type: 'button', disabled: o.disabled, onclick: async () => {
    button.disabled = true;
    o.box.textContent = '';
    try {
      await run();
    } catch (e) {
      o.box.textContent = e.message || t('error.away');
    }
    button.disabled = false;
  }}, label);
  return button;
}
