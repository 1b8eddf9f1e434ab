import { damaged, show } from '../errors.ts';
import { findFile } from '../io/find.ts';
import { type JsonObject, readOptionalText } from '../io/optional.ts';
import { type CheckpointStore, readJsonSource } from '../io/store.ts';
import { leftOutWarning, type WarningListener, warnOnConsole } from '../warnings.ts';
import { chosenTemplate } from './chat-template.ts';
import { readTokenizerConfig } from './config.ts';
import { readVocabularyFiles } from './vocabulary-files.ts';

/** The files of a tokenizer. */
export interface TokenizerFiles {
  /** The location, for messages. */
  readonly origin: string;
  /** The content of a `tokenizer.json`; undefined where there is no tokenizer. */
  readonly json: object | undefined;
  /**
   * The content of a `tokenizer_config.json`. Its `chat_template` is one template, from any of the files that may hold
   * it.
   */
  readonly config: JsonObject;
}

/**
 * Reads the files of a tokenizer: `tokenizer.json`, or `vocab.json` with `merges.txt`; and `tokenizer_config.json` and
 * `chat_template.jinja`, which are optional and left out with a warning where they cannot be used.
 * @throws MambaError `invalid-file` where there is a tokenizer that cannot be read, and any error of the store.
 */
export async function readTokenizerFiles(
  store: CheckpointStore,
  onWarning: WarningListener = warnOnConsole,
): Promise<TokenizerFiles> {
  return tokenizerFiles(store, await readTokenizerConfig(store, onWarning), onWarning);
}

/** Reads the other files of a tokenizer whose config is read already. */
export async function tokenizerFiles(
  store: CheckpointStore,
  config: JsonObject,
  onWarning: WarningListener,
): Promise<TokenizerFiles> {
  const json = (await readTokenizerJson(store, onWarning)) ?? (await readVocabularyFiles(store, config, onWarning));
  const { chat_template: named, ...others } = config;
  // Newer checkpoints keep the template in a file of its own, which takes precedence.
  const text = json && (await readOptionalText(store, 'chat_template.jinja', onWarning));
  const template =
    chosenTemplate(`${store.name}: chat_template.jinja`, text, onWarning) ??
    chosenTemplate(`${store.name}: tokenizer_config.json: chat_template`, named, onWarning);
  return {
    origin: `${store.name}: tokenizer.json`,
    json,
    config: { ...others, ...(template !== undefined && { chat_template: template }) },
  };
}

/** Reads `tokenizer.json`. A host that does not have it may send a page or refuse it; it counts as absent then. */
async function readTokenizerJson(store: CheckpointStore, onWarning: WarningListener): Promise<object | undefined> {
  const { source, reason } = await findFile(store, 'tokenizer.json');
  if (source === undefined) {
    if (reason !== undefined) onWarning(leftOutWarning(`${store.name}: tokenizer.json`, reason));
    return undefined;
  }
  const json = await readJsonSource(source);
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json;
  throw damaged(`${store.name}: tokenizer.json`, show(json), 'a JSON object');
}
