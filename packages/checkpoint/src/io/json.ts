import { damaged, quote } from '../errors.ts';
import { checkBounds, FILE_BOUNDS, type JsonBounds } from './json-bounds.ts';
import { parsePythonJson } from './python-json.ts';

/**
 * Parses a JSON file. `Infinity` and `NaN`, which Python's writers use, are accepted as numbers.
 * @throws MambaError `invalid-file` where the bytes are not UTF-8, not JSON, nested too deep or of too many values, or
 * where an object in it has a key twice.
 */
export function parseJson(name: string, bytes: Uint8Array, bounds: JsonBounds = FILE_BOUNDS): unknown {
  let text: string;
  let value: unknown;
  checkBounds(name, bytes, bounds);
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    value = parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw damaged(name, `something that is not JSON in UTF-8 (${reason})`, 'JSON', undefined, cause);
  }
  const twice = duplicateKey(text);
  if (twice !== undefined) throw damaged(name, `the key ${quote(twice)} twice`, 'every key once');
  return value;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    const read = parsePythonJson(text);
    if (read === undefined) throw cause;
    return read.value;
  }
}

/**
 * The first key that occurs twice in one object of a JSON text, at any depth, since JSON.parse silently keeps the last
 * one. The text must be valid JSON. The search takes one pass, and memory for the keys.
 */
function duplicateKey(json: string): string | undefined {
  // An entry for each open bracket: the keys of an object, or undefined for an array.
  const open: (Set<string> | undefined)[] = [];
  let expectKey = false;
  for (let index = 0; index < json.length; index++) {
    switch (json[index]) {
      case '{':
        open.push(new Set());
        expectKey = true;
        break;
      case '[':
        open.push(undefined);
        expectKey = false;
        break;
      case '}':
      case ']':
        open.pop();
        expectKey = false;
        break;
      case ',':
        expectKey = open.at(-1) !== undefined;
        break;
      case '"': {
        const end = endOfString(json, index);
        if (expectKey) {
          // Parsed, since "a" and "\u0061" are the same key.
          const key = JSON.parse(json.slice(index, end + 1)) as string;
          const keys = open.at(-1)!;
          if (keys.has(key)) return key;
          keys.add(key);
          expectKey = false;
        }
        index = end;
        break;
      }
    }
  }
  return undefined;
}

function endOfString(json: string, start: number): number {
  let index = start + 1;
  while (json[index] !== '"') index += json[index] === '\\' ? 2 : 1;
  return index;
}
