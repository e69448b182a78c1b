// The daemon's own names in the language of the page: kinds of events, sources
// and words of the flight recorder, verbs of jobs and their arguments, states
// of hardware, distributions. One that is newer than the page stands as it is.
import {h} from './dom.js';
import {followed, has, t} from './i18n.js';
import {said} from './said.js';
import {stageName} from './states.js';

export const kindName = (kind) => (has(`event.${kind}`) ? t(`event.${kind}`) : kind);

export const sourceName = (source) => (has(`source.${source}`) ? t(`source.${source}`) : source);

export const verbName = (verb) => (has(`verb.${verb}`) ? t(`verb.${verb}`) : verb);

export const modeName = (mode) => (has(`dhcp.${mode}`) ? t(`dhcp.${mode}`) : mode);

export const linkName = (link) => (has(`link.${link}`) ? t(`link.${link}`) : link);

export const healthName = (health) => (has(`health.${health}`) ? t(`health.${health}`) : health);

/** An argument of a verb: an action, a device, or what stands as it was given. @param {string} verb @param {string} arg */
export function argName(verb, arg) {
  if (verb === 'power' && has(`power.${arg}`)) return t(`power.${arg}`);
  if (has(`arg.${arg}`)) return t(`arg.${arg}`);
  return verb === 'bootdev' && has(`boot.${arg}`) ? t(`boot.${arg}`) : arg;
}

/** What an entry of the flight recorder says happened. @param {{source: string, what: string}} e */
export function whatName({source, what}) {
  if (source === 'log') return kindName(what);
  if (source === 'installer') return stageName(what);
  return has(`what.${what}`) ? t(`what.${what}`) : what;
}

/** What a job says of a machine, with the stage by its name. @param {string | undefined} text */
export function messageText(text) {
  const at = /^at (\w+): ([\s\S]+)$/.exec(text || '');
  return at ? followed(t('machine.failedat', {stage: stageName(at[1])})) + said(at[2]) : said(text);
}

/** A name for people, which says at the pointer what the log and the command line call it. */
export const named = (tag, name, label) => h(tag, {title: name === label ? undefined : name}, label);

const distros = {almalinux: 'AlmaLinux', anolis: 'Anolis OS', centos: 'CentOS', debian: 'Debian', kylin: 'Kylin', openeuler: 'openEuler', rhel: 'RHEL', rocky: 'Rocky Linux', ubuntu: 'Ubuntu', uos: 'UOS'};

export const distroName = (id) => distros[id] || id;
