import { damaged, show } from '../errors.ts';
import { findFile } from '../io/find.ts';
import { type JsonObject, readOptionalText } from '../io/optional.ts';
import { type CheckpointStore, readJsonSource } from '../io/store.ts';
import { leftOut, type WarningListener, warnOnConsole } from '../warnings.ts';
import { chosenTemplate } from './chat-template.ts';
import { readTokenizerConfig } from './config.ts';
import { readVocabularyFiles } from './vocabulary-files.ts';

/** What a tokenizer is made of, as far as it is there. */
export interface TokenizerFiles {
  /** For messages. */
  readonly origin: string;
  /** Content of a `tokenizer.json`; undefined where there is no tokenizer. */
  readonly json: object | undefined;
  /** That of a `tokenizer_config.json`; its `chat_template` is one template, from wherever it was kept. */
  readonly config: JsonObject;
}

/**
 * Reads the files of a tokenizer: `tokenizer.json`, or `vocab.json` with `merges.txt`; `tokenizer_config.json` and
 * `chat_template.jinja`, which may be absent or odd, and are left out then, with a warning.
 * @throws MambaError `invalid-file` where a tokenizer is there that cannot be read, and what the store throws.
 */
export async function readTokenizerFiles(
  store: CheckpointStore,
  onWarning: WarningListener = warnOnConsole,
): Promise<TokenizerFiles> {
  return tokenizerFiles(store, await readTokenizerConfig(store, onWarning), onWarning);
}

/** The rest, where the config is read already. */
export async function tokenizerFiles(
  store: CheckpointStore,
  config: JsonObject,
  onWarning: WarningListener,
): Promise<TokenizerFiles> {
  const json = (await readTokenizerJson(store, onWarning)) ?? (await readVocabularyFiles(store, config, onWarning));
  const { chat_template: named, ...others } = config;
  // Newer checkpoints keep the template in a file of its own, which comes first.
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

/** A host that has none may say so by a page, or by refusing it: then it is absent, as in a folder. */
async function readTokenizerJson(store: CheckpointStore, onWarning: WarningListener): Promise<object | undefined> {
  const { source, reason } = await findFile(store, 'tokenizer.json');
  if (source === undefined) {
    if (reason !== undefined) onWarning(leftOut(`${store.name}: tokenizer.json`, reason));
    return undefined;
  }
  const json = await readJsonSource(source);
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json;
  throw damaged(`${store.name}: tokenizer.json`, show(json), 'a JSON object');
}
