// The states of a machine and the stages of an install, in their order. Go
// tests compare both lists with pkg/site and pkg/install.
import {h, svg} from './dom.js';
import {has, t} from './i18n.js';

export const states = ['seen', 'planned', 'armed', 'booting', 'installing', 'installed', 'ready', 'failed', 'held'];

export const stages = ['loader', 'answer', 'early', 'disk', 'partitioned', 'packages', 'post', 'done'];

/** One shape for each state, so that nobody needs to see colours. */
const shapes = {
  seen: 'M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11Zm0 1.6a3.9 3.9 0 1 1 0 7.8 3.9 3.9 0 0 1 0-7.8ZM7.2 6h1.6v4H7.2Z',
  planned: 'M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11Zm0 1.6a3.9 3.9 0 1 1 0 7.8 3.9 3.9 0 0 1 0-7.8Z',
  armed: 'M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11Zm0 1.6a3.9 3.9 0 1 1 0 7.8 3.9 3.9 0 0 1 0-7.8Zm0 2a1.9 1.9 0 1 0 0 3.8 1.9 1.9 0 0 0 0-3.8Z',
  booting: 'M8 2l5.5 6H10v6H6V8H2.5Z',
  installing: 'M6 2h4v6h3.5L8 14 2.5 8H6Z',
  installed: 'M8 1.8 14.2 8 8 14.2 1.8 8Zm0 2.3L4.1 8 8 11.9 11.9 8Z',
  ready: 'M6.3 12.6 2 8.3l1.5-1.5 2.8 2.8 6.2-6.2L14 4.9Z',
  failed: 'M3.6 2.2 8 6.6l4.4-4.4 1.4 1.4L9.4 8l4.4 4.4-1.4 1.4L8 9.4l-4.4 4.4-1.4-1.4L6.6 8 2.2 3.6Z',
  held: 'M4 2.5h3v11H4Zm5 0h3v11H9Z',
};

/** @param {string} state */
export function icon(state) {
  return svg('svg.icon', {viewBox: '0 0 16 16', 'aria-hidden': 'true', 'data-state': state}, svg('path', {d: shapes[state] || shapes.seen}));
}

/** Changes an icon in place. */
export function setIcon(element, state) {
  if (element.dataset.state === state) return;
  element.dataset.state = state;
  element.firstChild.setAttribute('d', shapes[state] || shapes.seen);
}

export const stateName = (state) => (has(`state.${state}`) ? t(`state.${state}`) : state);

export const stageName = (stage) => (has(`stage.${stage}`) ? t(`stage.${stage}`) : stage);

/** The state of a machine in words, with the stage where there is one. */
export function stateText(m) {
  if (m.state === 'installing' && m.stage) return stageName(m.stage);
  if (m.state === 'installed' && m.deviations?.length) return t('state.deviates', {n: m.deviations.length});
  return stateName(m.state);
}

/** A state in a line of text: its shape, its colour and its word. @param {Partial<import('./fold.js').Machine>} m */
export const stateMark = (m, text = stateText(m)) => h('span.state', {data: {state: m.state}}, icon(m.state), ' ', text);

/** How far an install has come, from 0 to 1; undefined where none runs. */
export function progress(m) {
  switch (m.state) {
    case 'booting': return 0.05;
    case 'installing': return (stages.indexOf(m.stage) + 1) / (stages.length + 1);
    case 'installed': return stages.length / (stages.length + 1);
    default: return undefined;
  }
}
