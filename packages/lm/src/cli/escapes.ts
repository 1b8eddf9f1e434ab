import { InvalidArgumentError } from 'commander';

const LETTERS: Readonly<Record<string, string>> = {
  ...{ n: '\n', r: '\r', t: '\t', b: '\b', f: '\f', v: '\v', 0: '\0', '\\': '\\', "'": "'", '"': '"' },
};

/**
 * A backslash with what it begins: a code of two, of four or of any number of hex digits, a letter, or nothing that is
 * known.
 */
const ESCAPE = /\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]+)\}|(.?))/gsu;

/**
 * Text as it is typed in a shell, which passes `\n` on as two characters.
 * @throws InvalidArgumentError where a backslash begins nothing that is known.
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
