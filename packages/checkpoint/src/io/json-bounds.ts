import { damaged } from '../errors.ts';

/** Limits of a JSON text. Parsing a text of brackets alone takes up to forty times its size in memory. */
export interface JsonBounds {
  /** Largest depth of nested objects and arrays. */
  readonly depth: number;
  /** Largest number of values of all kinds, nested ones included. */
  readonly values: number;
}

/** The limits of files: far beyond any config, and beyond any tokenizer of millions of tokens and merges. */
export const FILE_BOUNDS: JsonBounds = { depth: 256, values: 2 ** 24 };

/**
 * Checks the limits before a text is parsed, by counting brackets and commas outside of strings in one pass without
 * allocation. It does not check that the text is JSON.
 * @throws MambaError `invalid-file` where a limit is exceeded.
 */
export function checkBounds(name: string, json: Uint8Array, bounds: JsonBounds): void {
  let depth = 0;
  let values = 1;
  for (let index = 0; index < json.length; index++) {
    switch (json[index]) {
      case QUOTE:
        index = endOfString(json, index);
        break;
      case OPEN_ARRAY:
      case OPEN_OBJECT:
        values++;
        if (++depth > bounds.depth)
          throw damaged(name, `objects and lists nested ${depth} deep`, `at most ${bounds.depth}`, REMEDY);
        break;
      case CLOSE_ARRAY:
      case CLOSE_OBJECT:
        depth--;
        break;
      case COMMA:
        values++;
    }
    if (values > bounds.values)
      throw damaged(name, `more than ${bounds.values} values`, 'fewer in such a file', REMEDY);
  }
}

const REMEDY = 'It is damaged, or made to exhaust memory; fetch it again from a source that you trust.';
const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** The index of the closing quote of a string; the length of the text where there is none. */
function endOfString(json: Uint8Array, start: number): number {
  let index = start + 1;
  while (index < json.length && json[index] !== QUOTE) index += json[index] === BACKSLASH ? 2 : 1;
  return index;
}
