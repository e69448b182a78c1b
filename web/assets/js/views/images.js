// The library of installation media.
import * as api from '../lib/api.js';
import {fill, h, setText} from '../lib/dom.js';
import {actButton, commandLine, errorBox, openDialog} from '../lib/dialog.js';
import {bytes, dateTime, duration, number, t} from '../lib/i18n.js';
import {lookingOn, mayAct} from '../lib/session.js';
import {distroName} from '../lib/names.js';
import {said} from '../lib/said.js';
import {field, table} from '../actions/form.js';
import {command, quote} from '../actions/shell.js';
import {dropZone} from './drop.js';

/** @param {import('../main.js').App} app */
export function imagesView(app) {
  const box = errorBox();
  const list = h('div');
  const upload = uploadBox(() => show());
  const element = h('div.page', null, h('h1', null, t('nav.images')), h('p.lead', null, t('images.about')), mayAct() ? upload.element : lookingOn(), box, list, commandLine(command('image', 'list')));

  async function show() {
    try {
      const images = await api.images();
      fill(list, images.length ? table(t('nav.images'), [t('machine.name'), t('images.distro'), t('images.arch'), t('images.size'), t('images.digest'), t('images.added'), t('action.label')],
        images.map((i) => [i.name, `${distroName(i.distro)} ${i.version}`, i.arch, bytes(i.size), h('code', {title: i.digest}, i.digest.slice(0, 16) + '…'), dateTime(i.added), doTo(i)])) : h('p.empty', null, t('images.none')));
    } catch (e) {
      setText(box, e.message || t('error.away'));
    }
  }

  function doTo(i) {
    if (!mayAct()) return '–';
    return h('div.buttons', null,
      h('button', {type: 'button', onclick: () => verify(i), 'aria-label': t('images.verifyone', {name: i.name})}, t('images.verify')),
      h('button', {type: 'button', onclick: () => remove(i), 'aria-label': t('images.removeone', {name: i.name})}, t('images.remove')));
  }

  function remove(i) {
    openDialog(t('images.removeone', {name: i.name}), (close) => {
      const problem = errorBox();
      return [h('p', null, t('images.removeabout')), commandLine(command('image', 'remove', quote(i.name))), problem,
        h('div.buttons', null, actButton(t('images.remove'), async () => { await api.removeImage(i.name); close(); await show(); }, {kind: 'danger', box: problem}),
          h('button', {type: 'button', onclick: close}, t('dialog.cancel')))];
    });
  }

  const unsubscribe = app.store.subscribe((change) => change.events.some((e) => e.kind.startsWith('image-')) && show());
  show();
  return {title: t('nav.images'), element, close() { unsubscribe(); upload.close(); }};
}

function verify(i) {
  openDialog(t('images.verifyone', {name: i.name}), (close) => {
    const bar = h('progress', {max: 1, 'aria-label': t('images.verifyone', {name: i.name})});
    const status = h('p', {role: 'status'}, t('images.verifying'));
    api.verifyImage(i.name, (line) => {
      if (line.total) bar.value = line.done / line.total;
      if (line.problem) Object.assign(status, {textContent: said(line.problem.detail), className: 'error'});
      if (line.verified) { bar.value = 1; Object.assign(status, {textContent: t('images.verified'), className: 'good'}); }
    }).catch((e) => Object.assign(status, {textContent: e.message || t('error.away'), className: 'error'}));
    return [bar, status, commandLine(command('image', 'verify', quote(i.name))), h('div.buttons', null, h('button', {type: 'button', onclick: close}, t('dialog.close')))];
  });
}

/** A drop zone that sends a medium and shows how far it is. @param {() => void} done */
export function uploadBox(done) {
  const name = h('input', {type: 'text', autocomplete: 'off', spellcheck: 'false', maxlength: 64});
  const bar = h('progress', {max: 1, hidden: true, 'aria-label': t('images.sending')});
  const status = h('p', {role: 'status'});
  const stop = h('button', {type: 'button', hidden: true, onclick: () => leaving.abort()}, t('images.stop'));
  let leaving = new AbortController();

  async function take(file) {
    leaving = new AbortController();
    bar.hidden = stop.hidden = false;
    bar.value = 0;
    status.className = '';
    const begun = performance.now();
    try {
      let result;
      await api.uploadImage(file, name.value.trim(), (sent, total) => {
        bar.value = sent / total;
        const rate = sent / Math.max(1, performance.now() - begun);
        setText(status, sent < total ? t('images.sent', {done: bytes(sent), total: bytes(total), percent: number((100 * sent) / total), left: duration((total - sent) / rate)}) : t('images.hashing'));
      }, (line) => {
        if (line.problem || line.image) result = line;
        else if (line.total) { bar.value = line.done / line.total; setText(status, t('images.hashed', {percent: number((100 * line.done) / line.total)})); }
      }, leaving.signal);
      finish(result);
    } catch (e) {
      setText(status, e.name === 'AbortError' ? t('images.stopped') : e.message || t('error.away'));
      status.className = 'error';
    }
    bar.hidden = stop.hidden = true;
  }

  function finish(result) {
    if (result?.image) {
      const i = result.image;
      setText(status, [t('images.isthere', {name: i.name, distro: `${distroName(i.distro)} ${i.version}`, arch: i.arch, digest: i.digest}), ...(i.warnings || []).map(said)].join(' '));
      status.className = 'good';
      done();
      return;
    }
    setText(status, said(result?.problem?.detail) || t('error.away'));
    status.className = 'error';
  }

  const element = h('section.panel.wide', {'aria-label': t('images.drop')}, dropZone(t('images.drop'), '.iso', take), field(t('images.name'), name, t('images.namehint')), bar, status, stop, commandLine(command('image', 'add', 'FILE.iso')));
  return {element, close: () => leaving.abort()};
}
