import { InvalidArgumentError } from 'commander';

const LETTERS: Readonly<Record<string, string>> = {
  ...{ n: '\n', r: '\r', t: '\t', b: '\b', f: '\f', v: '\v', 0: '\0', '\\': '\\', "'": "'", '"': '"' },
};

/**
 * A backslash followed by `x` and 2 hex digits, `u` and 4, `u{…}` with any number, or any other character or none.
 */
const ESCAPE = /\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]+)\}|(.?))/gsu;

/**
 * Resolves escapes in an argument: a shell passes `\n` on as two characters.
 * @throws InvalidArgumentError for an unknown escape, and for an unpaired surrogate.
 */
export function unescapeText(text: string): string {
  const plain = text.replace(ESCAPE, (typed: string, ...[two, four, any, letter]: (string | undefined)[]) => {
    const digits = two ?? four ?? any;
    const code = Number.parseInt(digits ?? '', 16);
    const character =
      digits === undefined ? LETTERS[letter!] : code <= 0x10ffff ? String.fromCodePoint(code) : undefined;
    if (character === undefined)
      throw new InvalidArgumentError(
        `${typed} stands for nothing. Write \\\\ for a backslash; known are \\n, \\t, \\u00e9, …`,
      );
    return character;
  });
  if (/\p{Surrogate}/u.test(plain)) throw new InvalidArgumentError('It holds half of a surrogate pair.');
  return plain;
}
