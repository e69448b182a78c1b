// Command lines as one would type them.

/** Quotes a word for a shell when it needs to be. */
export const quote = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);

/** @param {...(string | false | undefined)} words */
export const command = (...words) => ['rackseed', ...words.filter(Boolean)].join(' ');
