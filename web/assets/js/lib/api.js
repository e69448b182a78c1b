// The operator API, as the page uses it. Every function is one request that
// the CLI can make, too.

import {said} from './said.js';

/** An answer that says no, with the next step in its message. */
export class Problem extends Error {
  /** @param {number} status @param {string} code @param {string} detail */
  constructor(status, code, detail) {
    super(said(detail));
    this.status = status;
    this.code = code;
  }
}

const root = '/api/v1';

/** @param {Response} response */
async function problemOf(response) {
  const text = await response.text();
  try {
    const p = JSON.parse(text);
    return new Problem(response.status, p.code || '', p.detail || p.title || text);
  } catch {
    return new Problem(response.status, '', text || response.statusText);
  }
}

/** Is called when the daemon wants a login. */
let onLogin = () => {};
export function needLogin() {
  onLogin();
}
export function setLogin(callback) {
  onLogin = callback;
}

/** @param {string} path @param {RequestInit} [init] */
export async function request(path, init = {}) {
  const response = await fetch(root + path, {credentials: 'same-origin', ...init});
  if (response.ok) return response;
  if (response.status === 401) onLogin();
  throw await problemOf(response);
}

/** @param {string} path */
export async function get(path) {
  return (await request(path, {headers: {Accept: 'application/json'}})).json();
}

/** Is get for what a daemon of another version may lack: then it gives undefined. */
export async function getIfThere(path) {
  try {
    return await get(path);
  } catch (e) {
    if (e instanceof Problem && (e.status === 404 || e.status === 405)) return undefined;
    throw e;
  }
}

/** @param {string} path @param {any} body @param {string} [method] */
export async function send(path, body, method = 'POST') {
  const response = await request(path, {method, headers: {'Content-Type': 'application/json', Accept: 'application/json'}, body: JSON.stringify(body)});
  const text = await response.text();
  return text ? JSON.parse(text) : undefined;
}

/** @param {Record<string, string | number | boolean | undefined>} values */
export function query(values) {
  const kept = Object.entries(values).filter(([, v]) => v !== undefined && v !== '' && v !== false);
  return kept.length ? '?' + new URLSearchParams(kept.map(([k, v]) => [k, String(v)])) : '';
}

const name = encodeURIComponent;

export const status = () => get('/status');

/** All machines, and the sequence of the state that they are of. */
export async function nodes() {
  const response = await request('/nodes');
  return {nodes: await response.json(), seq: Number(response.headers.get('Rackseed-Seq') || 0)};
}
/** The names of the machines that a selector picks. The daemon alone knows its grammar. */
export const select = (selector) => get('/nodes' + query({selector, names: true}));
export const node = (n) => getIfThere('/nodes/' + name(n));
export const inventory = (n) => getIfThere(`/nodes/${name(n)}/inventory`);
export const explain = (who) => get('/explain/' + name(who));
export const render = async (n, as) => (await request(`/nodes/${name(n)}/render` + query({as}))).text();
export const timeline = (n) => getIfThere(`/nodes/${name(n)}/timeline`);
export const batch = (selector) => getIfThere('/batch' + query({selector}));
/** A page of the log, or of what it says about the machines of a selector. */
export const events = (values) => get('/events' + query(values));
export const adopt = (body) => send('/nodes', body);

export const arm = (body) => send('/arm', body);
export const disarm = (body) => send('/disarm', body);

export const jobs = () => get('/jobs');
export const job = (id) => get('/jobs/' + name(id));
export const startJob = (body) => send('/jobs', body);
export const cancelJob = (id) => request('/jobs/' + name(id), {method: 'DELETE'});

/** The text of the plan in force; empty before the first. */
export const plan = async () => (await request('/plan')).text();
/** Checks a plan; puts it in force unless it is a rehearsal. */
export const putPlan = (text, {dryRun, by}) => send('/plan' + query({dry_run: dryRun, by, name: 'plan.yaml'}), {plan: text}, 'PUT');
/** Takes an asset sheet into the text of a plan, and gives the new text: nothing is put in force. */
export const importSheet = (body) => send('/plan/import', body);

/** The roles of the plan in force, with what each may set. */
export const roles = () => get('/roles');
/** The text of the plan in force with parameters of a role changed: nothing is put in force. */
export const editRole = (body) => send('/plan/role', body);

/** The consoles that the daemon records into the timelines of their machines. */
export const recordings = () => getIfThere('/recordings');
export const record = (n, forNanoseconds) => send(`/nodes/${name(n)}/recording`, {for: forNanoseconds}, 'PUT');
export const stopRecording = (n) => request(`/nodes/${name(n)}/recording`, {method: 'DELETE'});

export const images = () => get('/images');
export const removeImage = (n) => request('/images/' + name(n), {method: 'DELETE'});
export const verifyImage = (n, tell) => lines(request(`/images/${name(n)}/verify`, {method: 'POST'}), tell);

/** Has a daemon that waits for it serve an interface; it starts again, so the answer may be cut. */
export const chooseWire = (name) => send('/wire', {interface: name});
export const doctor = (body) => send('/doctor', body);

/**
 * Reads an answer of JSON lines as they come.
 * @param {Promise<Response>} asked @param {(line: any) => void} tell
 */
export async function lines(asked, tell) {
  const response = await asked;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const {value, done} = await reader.read();
    const parts = (rest + (value || '')).split('\n');
    rest = parts.pop();
    for (const part of parts) if (part) tell(JSON.parse(part));
    if (done) {
      if (rest) tell(JSON.parse(rest));
      return;
    }
  }
}

/**
 * Uploads a medium. XMLHttpRequest, because fetch cannot tell how much was sent.
 * @param {File} file @param {string} asName @param {(done: number, total: number) => void} sent
 * @param {(line: any) => void} tell what the daemon says while it hashes
 * @param {AbortSignal} signal
 */
export function uploadImage(file, asName, sent, tell, signal) {
  return new Promise((resolve, reject) => {
    const x = new XMLHttpRequest();
    let read = 0;
    const hear = () => {
      const end = x.responseText.lastIndexOf('\n') + 1;
      if (end <= read) return;
      const parts = x.responseText.slice(read, end).split('\n');
      read = end;
      for (const part of parts) if (part) tell(JSON.parse(part));
    };
    x.upload.onprogress = (e) => sent(e.loaded, e.total);
    x.onprogress = () => x.status === 200 && hear();
    x.onload = () => {
      if (x.status !== 200) {
        problemOf(new Response(x.responseText, {status: x.status})).then(reject);
        return;
      }
      hear();
      resolve(undefined);
    };
    x.onerror = () => reject(new Problem(0, '', ''));
    x.onabort = () => reject(new DOMException('', 'AbortError'));
    signal.addEventListener('abort', () => x.abort());
    x.open('POST', root + '/images/upload' + query({name: asName, file: file.name}));
    x.setRequestHeader('Content-Type', 'application/octet-stream');
    x.send(file);
  });
}

/** Who asks: a name and a role where the daemon is reached from elsewhere. */
export const session = () => getIfThere('/session');
export const logout = () => fetch('/logout', {method: 'POST'});
