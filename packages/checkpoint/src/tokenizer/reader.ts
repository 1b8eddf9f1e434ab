import { parseSpecialTokens, type SpecialTokens } from '../config/special-tokens.ts';
import { damaged } from '../errors.ts';
import type { JsonObject } from '../io/optional.ts';
import type { CheckpointStore } from '../io/store.ts';
import type { WarningListener } from '../warnings.ts';
import { readTokenizerConfig } from './config.ts';
import { type TokenizerFiles, tokenizerFiles } from './files.ts';
import { namedTokenId, type TokenName } from './named-tokens.ts';

/** Reads the tokenizer's files of one location, each once and on demand. */
export class TokenizerReader {
  readonly #store: CheckpointStore;
  readonly #onWarning: WarningListener;
  readonly #required: boolean;
  #config: Promise<JsonObject> | undefined;
  #files: Promise<TokenizerFiles> | undefined;

  /** @param required Whether a missing tokenizer is an error, as where the caller asked for it. */
  constructor(store: CheckpointStore, onWarning: WarningListener, required: boolean) {
    this.#store = store;
    this.#onWarning = onWarning;
    this.#required = required;
  }

  files(): Promise<TokenizerFiles> {
    this.#files ??= this.#read();
    return this.#files;
  }

  /**
   * The special tokens with those of `tokenizer_config.json`: its end of text is added, and its beginning of text is
   * used where there was none.
   */
  async addSpecialTokens(vocabSize: number, known: SpecialTokens): Promise<SpecialTokens> {
    const origin = `${this.#store.name}: tokenizer_config.json`;
    const config = await this.#readConfig();
    const id = async (name: TokenName): Promise<number | undefined> =>
      namedTokenId(origin, config, name, async () => (await this.files()).json, this.#onWarning);
    const json = {
      bos_token_id: known.bos === undefined ? await id('bos_token') : undefined,
      eos_token_id: await id('eos_token'),
    };
    const named = parseSpecialTokens(vocabSize, [{ origin, json }], this.#onWarning);
    return { bos: known.bos ?? named.bos, eos: [...new Set([...known.eos, ...named.eos])] };
  }

  async #read(): Promise<TokenizerFiles> {
    const files = await tokenizerFiles(this.#store, await this.#readConfig(), this.#onWarning);
    if (files.json !== undefined || !this.#required) return files;
    throw damaged(
      this.#store.name,
      'no tokenizer',
      'tokenizer.json, or vocab.json with merges.txt',
      'Give the folder, address or hf:owner/name that holds them.',
    );
  }

  #readConfig(): Promise<JsonObject> {
    this.#config ??= readTokenizerConfig(this.#store, this.#onWarning);
    return this.#config;
  }
}
