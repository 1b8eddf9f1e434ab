import { damaged, show } from '../errors.ts';
import { type JsonObject, readOptionalObject } from '../io/optional.ts';
import type { CheckpointStore } from '../io/store.ts';
import { leftOutWarning, type WarningListener } from '../warnings.ts';
import { tokenText } from './named-tokens.ts';

/** Reads `tokenizer_config.json` without its unusable values; empty where the file is absent or cannot be used. */
export async function readTokenizerConfig(store: CheckpointStore, onWarning: WarningListener): Promise<JsonObject> {
  const config = (await readOptionalObject(store, 'tokenizer_config.json', onWarning)) ?? {};
  const sound = Object.entries(config).filter(([name, value]) => {
    const expected = value === null ? undefined : misfit(name, value);
    if (expected === undefined) return true;
    const origin = `${store.name}: tokenizer_config.json: ${name}`;
    onWarning(leftOutWarning(origin, damaged(origin, show(value), expected)));
    return false;
  });
  return Object.fromEntries(sound);
}

/** The expected form of a value, in words; undefined where the value can be used, or where it is never used. */
function misfit(name: string, value: unknown): string | undefined {
  if (SWITCHES.includes(name)) return typeof value === 'boolean' ? undefined : 'true or false';
  // Some writers store false for an absent token.
  if (NAMES.includes(name)) return value === false || tokenText(value) !== undefined ? undefined : 'a token';
  if (name === 'additional_special_tokens') return Array.isArray(value) ? undefined : 'a list of tokens';
  return undefined;
}

/** The switches that change how a text is encoded or decoded. */
const SWITCHES = [
  'add_bos_token',
  'add_prefix_space',
  'clean_up_tokenization_spaces',
  'do_lowercase_and_remove_accent',
  'remove_space',
];
const NAMES = ['bos_token', 'eos_token', 'pad_token', 'unk_token'];
