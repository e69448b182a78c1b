// What the daemon says is English on its wire, in its log and at the command
// line. Its page finds the sentence in i18n/daemon.zh.json, where {} stands for
// a value, and says it in Chinese. {1:state} there is a value that is one of the
// daemon's names, and is said by the page's label of state.NAME. A Go test
// compares that catalogue with the daemon's sources.

/** @typedef {{pattern: RegExp, text: string, weight: number, exact: boolean, open: boolean}} Sentence open: it begins with a value */

/** @type {Map<string, Sentence[]>} sentences by their first word; those that begin with a value have none */
let sentences = new Map();
/** @type {Map<string, string>} */
let known = new Map();
let told = false;
/** @type {(id: string) => string | undefined} */
let labelOf = () => undefined;

const kept = 5000; // translations that are not worked out again
const vague = 10; // letters: a sentence of fewer takes single words as its values
const depth = 8; // of sentences in sentences

/**
 * @param {Record<string, string> | undefined} catalogue undefined leaves everything as the daemon says it
 * @param {(id: string) => string | undefined} label of one of the daemon's names, such as state.ready
 */
export function learn(catalogue, label) {
  labelOf = label;
  sentences = new Map();
  known = new Map();
  told = Boolean(catalogue);
  for (const [template, text] of Object.entries(catalogue || {})) {
    const sentence = compile(template, text);
    const word = firstWord(template);
    if (!sentences.has(word)) sentences.set(word, []);
    sentences.get(word).push(sentence);
  }
  for (const list of sentences.values()) list.sort((a, b) => b.weight - a.weight);
}

/** @param {string} template @param {string} text @returns {Sentence} */
function compile(template, text) {
  const parts = template.split('{}');
  const weight = parts.join('').replace(/[^a-z]/gi, '').length;
  const value = weight < vague ? '(\\S+)' : '([\\s\\S]+?)';
  const pattern = parts.map((p) => p.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join(value);
  const last = template.endsWith(': {}') ? pattern.slice(0, -value.length) + '([\\s\\S]+)' : pattern; // why something failed
  return {pattern: new RegExp(`^${last}$`), text, weight, exact: parts.length === 1, open: parts.length > 1 && parts[0] === ''};
}

/** The first word, if it is all there: what follows it may belong to a value. */
const firstWord = (text) => /^([^\s{}]+)(?=\s|$)/.exec(text)?.[1] || '';

/**
 * A text of the daemon in the language of the page.
 * @template T @param {T} text @returns {T}
 */
export function said(text) {
  if (!told || typeof text !== 'string' || !text) return text;
  let answer = known.get(text);
  if (answer === undefined) {
    answer = translate(text, 0);
    if (known.size >= kept) known.clear();
    known.set(text, answer);
  }
  return /** @type {any} */ (answer);
}

const more = /^([\s\S]+) (\(and \d+ more like it\))$/; // what Check of pkg/site puts behind any sentence

/** @param {string} text @param {number} level */
function translate(text, level) {
  const counted = level === 0 ? more.exec(text) : null;
  if (counted) return translate(counted[1], 1) + translate(counted[2], 1);
  if (text.startsWith('; ')) return whole(text, level) ?? '；' + translate(text.slice(2), level + 1); // more of a list
  return whole(text, level) ?? (level < depth ? inParts(text, level) : undefined) ?? whole(text, level, true) ?? text;
}

/** A text that is one sentence. What it begins with is taken for a value with sentences in it only if nothing else helps. */
function whole(text, level, anything = false) {
  for (const word of [firstWord(text), '']) {
    for (const s of sentences.get(word) || []) {
      const m = s.pattern.exec(text);
      if (!m || (s.open && !anything && /; |: /.test(m[1]))) continue;
      if (s.exact) return s.text;
      return s.text.replace(/\{(\d+)(?::([a-z|]+))?\}/g, (all, n, kinds) => (m[n] === undefined ? all : named(kinds, m[n]) ?? value(m[n], level)));
    }
    if (!word) break;
  }
  return undefined;
}

/** The label of a value that is one of the daemon's names, quoted or not; kinds are separated by |. */
function named(kinds, text) {
  const name = text.replace(/^"(.*)"$/, '$1');
  return kinds?.split('|').map((kind) => labelOf(`${kind}.${name}`)).find((label) => label !== undefined);
}

/** Values are names and numbers, or sentences in their turn: why something failed. */
const value = (text, level) => (level < depth && /[a-z] [a-z]/i.test(text) ? translate(text, level + 1) : text);

const joints = [
  {at: '; ', by: '；'},
  {at: ': ', by: '：'},
];

/** Sentences that follow each other, and sentences with a remark behind them; undefined if none is known. */
function inParts(text, level) {
  const remark = /^([\s\S]*\S)( ?\([^()]*\))$/.exec(text);
  if (remark) {
    const [front, back] = [whole(remark[1], level + 1), whole(remark[2].trim(), level + 1)];
    if (front !== undefined || back !== undefined) return (front ?? translate(remark[1], level + 1)) + (back ?? remark[2]);
  }
  for (const {at, by} of joints) {
    for (let i = text.indexOf(at); i > 0; i = text.indexOf(at, i + 1)) {
      const front = whole(text.slice(0, i), level + 1);
      const rest = text.slice(i + at.length);
      if (front !== undefined) return front + (whole(at + rest, level + 1) ?? by + translate(rest, level + 1));
    }
    const i = text.lastIndexOf(at);
    if (i > 0) {
      const back = whole(text.slice(i + at.length), level + 1);
      if (back !== undefined) return translate(text.slice(0, i), level + 1) + by + back;
    }
  }
  return undefined;
}
