// Starts the page: settings, language, store, routes.
import * as api from './lib/api.js';
import {applyTheme, settings} from './lib/settings.js';
import {loadLanguage, setSiteZone} from './lib/i18n.js';
import {loadSession, mayAct} from './lib/session.js';
import {Router} from './lib/router.js';
import {Shortcuts} from './lib/shortcuts.js';
import {Store} from './lib/store.js';
import {shell} from './shell.js';
import {batchView} from './views/batch.js';
import {boardView} from './views/board.js';
import {eventsView} from './views/events.js';
import {imagesView} from './views/images.js';
import {jobView, jobsView} from './views/jobs.js';
import {machineView} from './views/machine.js';
import {missingView} from './views/missing.js';
import {planView} from './views/plan.js';
import {reportView} from './views/report.js';
import {rolesView} from './views/roles.js';
import {settingsView} from './views/settings.js';
import {startView} from './views/start.js';

/**
 * @typedef {object} App what every view is given
 * @property {Store} store
 * @property {Router} router
 * @property {Shortcuts} shortcuts
 * @property {() => Promise<void>} relabel shows everything in the language of the settings
 */

async function main() {
  applyTheme();
  api.setLogin(() => location.assign('/login')); // the daemon's own page, which needs no script
  await Promise.all([loadLanguage(settings.language), loadSession()]);
  const store = new Store();
  const shortcuts = new Shortcuts();
  /** @type {App} */
  const app = {store, shortcuts, router: undefined, relabel};
  const view = (factory) => (params, query) => factory(app, params, query);
  let frame = shell(app);

  app.router = new Router({
    '/': view(boardView),
    '/nodes/:name': view(machineView),
    '/batch': view(batchView),
    '/plan': view(planView),
    '/images': view(imagesView),
    '/jobs': view(jobsView),
    '/jobs/:id': view(jobView),
    '/events': view(eventsView),
    '/report': view(reportView),
    '/roles': view(rolesView),
    '/start': view(startView),
    '/settings': view(settingsView),
    '*': view(missingView),
  }, (v, path, moved) => frame.show(v, path, moved));

  async function relabel() {
    await loadLanguage(settings.language);
    frame.close();
    frame = shell(app);
    app.router.reload();
  }

  store.subscribe((change) => {
    if (change.connection && store.status) setSiteZone(store.status.timezone || '');
  });
  let led = false;
  store.subscribe((change) => {
    if (!change.all || led) return;
    led = true; // an empty plan is led through its first minute, once
    if (mayAct() && store.status && !store.status.plan_digest && location.pathname === '/') app.router.go('/start', {replace: true});
  });
  app.router.start();
  await store.start();
}

main();
