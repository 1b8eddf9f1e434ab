import { damaged, quote, show } from '../errors.ts';
import { isAbort, type JsonObject } from '../io/optional.ts';
import { leftOutWarning, type WarningListener } from '../warnings.ts';

export type TokenName = 'bos_token' | 'eos_token';

/**
 * The id of a token that a `tokenizer_config.json` names by its text. The config itself may list the id; otherwise the
 * tokenizer is read to find it. Undefined where the config names no such token, and, with a warning, where no id can be
 * found.
 */
export async function namedTokenId(
  origin: string,
  config: JsonObject,
  name: TokenName,
  readTokenizer: () => Promise<object | undefined>,
  onWarning: WarningListener,
): Promise<number | undefined> {
  const given = config[name];
  if (given === undefined || given === null || given === false) return undefined;
  const place = `${origin}: ${name}`;
  // The return value of the listener is ignored.
  const warn = (reason: unknown): undefined => void onWarning(leftOutWarning(place, reason));
  const text = tokenText(given);
  if (text === undefined) return warn(damaged(place, show(given), 'a token'));
  const listed = listedId(config, text);
  if (listed !== undefined) return listed;
  try {
    const tokenizer = await readTokenizer();
    const id = tokenizer && vocabularyId(tokenizer, text);
    if (id !== undefined) return id;
    return warn(
      damaged(place, quote(text), tokenizer === undefined ? 'a tokenizer beside it' : 'a token of the vocabulary'),
    );
  } catch (error) {
    if (isAbort(error)) throw error;
    return warn(error);
  }
}

/** The text of a token. Newer files store it in an object with other properties. */
export function tokenText(given: unknown): string | undefined {
  const text = typeof given === 'object' && given !== null ? (given as { readonly content?: unknown }).content : given;
  return typeof text === 'string' ? text : undefined;
}

function listedId({ added_tokens_decoder: listed }: JsonObject, text: string): number | undefined {
  if (typeof listed !== 'object' || listed === null) return undefined;
  const found = Object.entries(listed).find(([, token]) => tokenText(token) === text);
  return found === undefined ? undefined : Number(found[0]);
}

/**
 * The id of a text in a `tokenizer.json`: of an added token, or of a token of the model, whose vocabulary is a map or a
 * list with scores.
 */
function vocabularyId(tokenizer: object, text: string): number | undefined {
  const { added_tokens: added, model } = tokenizer as JsonObject;
  const found = Array.isArray(added) ? added.find((token) => tokenText(token) === text) : undefined;
  if (found !== undefined) return (found as { readonly id: number }).id;
  const vocab = (model as { readonly vocab?: unknown } | null | undefined)?.vocab;
  if (Array.isArray(vocab)) {
    const index = vocab.findIndex((entry) => Array.isArray(entry) && entry[0] === text);
    return index < 0 ? undefined : index;
  }
  if (typeof vocab !== 'object' || vocab === null || !Object.hasOwn(vocab, text)) return undefined;
  return (vocab as Readonly<Record<string, number>>)[text];
}
