// Deep links: every view has a path, and what it shows is in its query.

/**
 * @typedef {object} View
 * @property {string} title
 * @property {HTMLElement} element
 * @property {() => void} [close] ends its subscriptions
 * @property {(query: URLSearchParams) => boolean} [navigate] takes a changed query itself
 */

/** @typedef {(params: Record<string, string>, query: URLSearchParams) => View} Factory */

export class Router {
  #routes;
  #show;
  /** @type {View | undefined} */
  #view;
  #path = '';

  /**
   * @param {Record<string, Factory>} routes by pattern; :name is one segment
   * @param {(view: View, path: string, moved: boolean) => void} show
   */
  constructor(routes, show) {
    this.#routes = Object.entries(routes).map(([pattern, factory]) => ({parts: pattern.split('/'), factory}));
    this.#show = show;
    window.addEventListener('popstate', () => this.#open(true));
    document.addEventListener('click', (e) => this.#click(e));
  }

  start() {
    this.#open(false);
  }

  /** @param {string} to path and query @param {{replace?: boolean}} [o] */
  go(to, o = {}) {
    if (o.replace) history.replaceState(null, '', to);
    else if (to !== location.pathname + location.search) history.pushState(null, '', to);
    this.#open(true);
  }

  /** Builds the present view anew, after a change of language. */
  reload() {
    this.#path = '';
    this.#open(false);
  }

  #click(e) {
    if (e.defaultPrevented || e.button !== 0 || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey) return;
    const link = e.target instanceof Element && e.target.closest('a[href]');
    if (!link || link.target || link.hasAttribute('download') || !link.getAttribute('href').startsWith('/')) return;
    if (link.getAttribute('href').startsWith('/api/')) return;
    e.preventDefault();
    this.go(link.getAttribute('href'));
  }

  #open(moved) {
    const path = location.pathname;
    const query = new URLSearchParams(location.search);
    if (this.#view && path === this.#path && this.#view.navigate?.(query)) return;
    const [factory, params] = this.#match(path);
    this.#view?.close?.();
    this.#path = path;
    this.#view = factory(params, query);
    this.#show(this.#view, path, moved);
  }

  #match(path) {
    const parts = path.replace(/\/+$/, '').split('/');
    for (const route of this.#routes) {
      const params = match(route.parts, parts);
      if (params) return [route.factory, params];
    }
    return [this.#routes.at(-1).factory, {}];
  }
}

function match(pattern, parts) {
  if (pattern.length !== parts.length && !(pattern.length === 2 && pattern[1] === '' && parts.length === 1)) return undefined;
  const params = {};
  for (let i = 0; i < parts.length; i++) {
    if (pattern[i].startsWith(':')) params[pattern[i].slice(1)] = decodeURIComponent(parts[i]);
    else if (pattern[i] !== parts[i]) return undefined;
  }
  return params;
}
