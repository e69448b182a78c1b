// Elements without a framework: h() builds them, text is always text.
const svgSpace = 'http://www.w3.org/2000/svg';

/** @typedef {Node | string | number | null | undefined | false | Child[]} Child */

/**
 * Builds an element. The tag may carry classes: h('button.primary', {onclick}, 'Save').
 * Properties that start with "on" are listeners, `data` is a dataset, `vars` are CSS variables;
 * everything else is an attribute, left out when it is false, null or undefined.
 * @param {string} tag
 * @param {Record<string, any> | null} [properties]
 * @param {...Child} children
 * @returns {any}
 */
export function h(tag, properties, ...children) {
  const [name, ...classes] = tag.split('.');
  return build(document.createElement(name), classes, properties, children);
}

/**
 * Is h for SVG.
 * @param {string} tag
 * @param {Record<string, any> | null} [properties]
 * @param {...Child} children
 * @returns {any}
 */
export function svg(tag, properties, ...children) {
  const [name, ...classes] = tag.split('.');
  return build(document.createElementNS(svgSpace, name), classes, properties, children);
}

function build(element, classes, properties, children) {
  if (classes.length) element.classList.add(...classes);
  for (const [key, value] of Object.entries(properties || {})) set(element, key, value);
  append(element, children);
  return element;
}

function set(element, key, value) {
  if (value === undefined || value === null || value === false) return;
  if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
  else if (key === 'data') Object.assign(element.dataset, value);
  else if (key === 'vars') for (const [name, v] of Object.entries(value)) element.style.setProperty('--' + name, v);
  else if (key === 'value') element.value = value;
  else element.setAttribute(key, value === true ? '' : String(value));
}

/** @param {Element} element @param {Child[]} children */
export function append(element, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(element, child);
    else if (child instanceof Node) element.append(child);
    else if (child !== undefined && child !== null && child !== false) element.append(String(child));
  }
}

/** Puts children in place of what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/** Writes only what differs: an update of thousands of cells touches few. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Tells screen readers, without moving the focus. */
export function announce(text) {
  const region = document.getElementById('announcer');
  if (region) region.textContent = text;
}

/** A function that runs at most once in a frame, however often it is asked for. */
export function perFrame(run) {
  let asked = 0;
  return () => {
    asked ||= requestAnimationFrame(() => {
      asked = 0;
      run();
    });
  };
}

/** A sentence in which what stands between backticks is code, and no line breaks inside an option. @param {string} text */
export const coded = (text) => String(text ?? '').split('`').map((part, i) => (i % 2 ? h('code', null, part) : unbroken(part)));

const unbroken = (text) => text.split(/(--[a-z][a-z-]*)/).map((part, i) => (i % 2 ? h('span.whole', null, part) : part));
