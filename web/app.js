// The board follows the event log: it loads the machines once, then asks
// again for whichever machine an event is about.
'use strict';

const maxEvents = 200;
const board = document.getElementById('board');
const log = document.getElementById('events');
const nodes = new Map();
const pending = new Set();

// get gives undefined for what is not there any more.
async function get(path) {
  const response = await fetch('/api/v1' + path, {headers: {Accept: 'application/json'}});
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error((await response.json()).detail);
  return response.json();
}

function element(tag, className, text) {
  const e = document.createElement(tag);
  e.className = className;
  e.textContent = text;
  return e;
}

function show(node) {
  let cell = document.getElementById('node-' + node.name);
  if (!cell) {
    cell = element('li', '', '');
    cell.id = 'node-' + node.name;
    board.append(cell);
  }
  cell.className = 'cell ' + node.state;
  cell.title = node.why;
  const state = node.state === 'installing' || node.state === 'failed' ? `${node.state}: ${node.stage || ''}` : node.state;
  cell.replaceChildren(element('strong', '', node.name), element('span', 'state', state), element('span', 'reason', node.reason || node.detail || ''));
  nodes.set(node.name, node);
}

function hide(name) {
  nodes.delete(name);
  document.getElementById('node-' + name)?.remove();
}

function count() {
  const counts = new Map();
  for (const n of nodes.values()) counts.set(n.state, (counts.get(n.state) || 0) + 1);
  document.getElementById('counts').replaceChildren(
    ...[...counts].sort().map(([state, n]) => element('li', 'count ' + state, `${n} ${state}`)));
}

// A storm of events about one machine becomes one question about it.
function ask(name) {
  if (pending.size === 0) setTimeout(refresh, 100);
  pending.add(name);
}

async function refresh() {
  const names = [...pending];
  pending.clear();
  for (const name of names) {
    try {
      const node = await get('/nodes/' + encodeURIComponent(name));
      if (node) show(node); else hide(name);
    } catch {
      setTimeout(() => ask(name), 2000); // the daemon is away: what is shown stays
    }
  }
  count();
}

function onEvent(event) {
  const line = element('li', '', '');
  line.append(element('time', '', new Date(event.at).toLocaleTimeString()), element('span', 'kind', event.kind),
    element('span', '', [event.subject, event.body.stage, event.body.reason].filter(Boolean).join(' ')));
  log.prepend(line);
  while (log.childElementCount > maxEvents) log.lastChild.remove();
  if (event.body.node !== undefined || event.kind.startsWith('node-')) {
    ask(event.subject);
  }
}

async function showStatus() {
  const status = await get('/status');
  document.getElementById('site').textContent = status.site ? `Rackseed: ${status.site}` : 'Rackseed';
  const serving = status.serving;
  document.getElementById('serving').textContent = serving.note || `DHCP ${serving.dhcp} on ${(serving.interfaces || []).join(', ')}; ${serving.http}`;
  return status;
}

async function start() {
  const status = await showStatus();
  for (const node of await get('/nodes')) show(node);
  count();
  const source = new EventSource('/api/v1/events?since=' + status.seq);
  source.onerror = () => { document.getElementById('serving').textContent = 'The daemon does not answer; the page goes on when it does.'; };
  source.onopen = showStatus;
  for (const kind of ['plan-applied', 'node-planned', 'node-unplanned', 'image-added', 'image-removed', 'stranger-seen', 'lease-granted',
    'lease-released', 'address-declined', 'armed', 'disarmed', 'install-started', 'install-resumed', 'answer-served', 'install-progress',
    'install-done', 'install-failed', 'node-verified', 'evidence-stored', 'node-held']) {
    source.addEventListener(kind, message => onEvent(JSON.parse(message.data)));
  }
}

start().catch(error => { document.getElementById('serving').textContent = String(error); });
