// Who looks at the page. From elsewhere than the daemon's own machine a viewer
// may look on and an operator may act; the daemon refuses what a role may not,
// and the page does not offer it.
import * as api from './api.js';
import {h} from './dom.js';
import {t} from './i18n.js';

export const session = {name: '', role: ''};

export async function loadSession() {
  try {
    Object.assign(session, await api.session());
  } catch {
    // the page goes on; what is not allowed is refused
  }
}

export const mayAct = () => session.role !== 'viewer';

/** Stands where an operator has buttons. */
export const lookingOn = () => h('p.hint.looking-on', null, t('session.lookon', {name: session.name}));
