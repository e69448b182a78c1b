// What one person prefers in one browser. It is kept in that browser alone.
const key = 'rackseed.settings';

/**
 * @typedef {object} Settings
 * @property {'zh' | 'en'} language
 * @property {'auto' | 'light' | 'dark'} theme
 * @property {string} zone time zone by its IANA name, or 'site' or 'browser'
 * @property {boolean} shortcuts single keys do things
 * @property {string} person goes into the log beside what this person does
 */

/** @type {Settings} */
const defaults = {language: (navigator.language || 'en').startsWith('zh') ? 'zh' : 'en', theme: 'auto', zone: 'browser', shortcuts: true, person: ''};

/** @type {Settings} */
export const settings = {...defaults, ...stored()};

function stored() {
  try {
    return JSON.parse(localStorage.getItem(key) || '{}');
  } catch {
    return {}; // a browser that keeps nothing has the defaults
  }
}

/** @param {Partial<Settings>} change */
export function save(change) {
  Object.assign(settings, change);
  try {
    localStorage.setItem(key, JSON.stringify(settings));
  } catch {
    // it holds until the page is left
  }
  applyTheme();
}

export function applyTheme() {
  document.documentElement.dataset.theme = settings.theme;
}
