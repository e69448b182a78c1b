// Keys that do things. A person who dictates or types by accident can switch
// them off (WCAG 2.2, 2.1.4); the list under `?` is made from what is bound.
import {settings} from './settings.js';

/** @typedef {{keys: string, label: () => string, run: () => void}} Shortcut */

export class Shortcuts {
  /** @type {Shortcut[]} */
  #all = [];
  #prefix = '';
  #timer = 0;

  constructor() {
    document.addEventListener('keydown', (e) => this.#press(e));
  }

  /** @param {string} keys one key, or two in a row: "g b" @param {() => string} label @param {() => void} run */
  bind(keys, label, run) {
    const shortcut = {keys, label, run};
    this.#all.push(shortcut);
    return () => (this.#all = this.#all.filter((s) => s !== shortcut));
  }

  list() {
    return this.#all;
  }

  #press(e) {
    if (!settings.shortcuts || e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented || typing(e.target)) return;
    if (document.querySelector('dialog[open]')) return;
    const keys = this.#prefix ? `${this.#prefix} ${e.key}` : e.key;
    this.#prefix = '';
    clearTimeout(this.#timer);
    const shortcut = this.#all.findLast((s) => s.keys === keys);
    if (shortcut) {
      e.preventDefault();
      shortcut.run();
    } else if (this.#all.some((s) => s.keys.startsWith(e.key + ' '))) {
      this.#prefix = e.key;
      this.#timer = setTimeout(() => (this.#prefix = ''), 1500);
    }
  }
}

const typing = (target) => target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName));
