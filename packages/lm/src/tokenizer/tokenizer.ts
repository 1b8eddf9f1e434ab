import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import {
  type Checkpoint,
  type CheckpointStore,
  readTokenizerFiles,
  type TokenizerFiles,
  type WarningListener,
} from '@mamba/checkpoint';
import { invalid, isMambaError, MambaError } from '@mamba/core';
import { bounded } from '#bounds';
import { type ChatMessage, type ChatOptions, type ChatTemplate, chatTemplate } from './chat-template.ts';
import { type Decoding, type DecodingOptions, type DecodingParts, decodingOf } from './decoding/decoding.ts';
import { limitPatterns, runsPatterns, tryAddedTokens } from './pattern-limits.ts';
import { PlaceholderReader, Placeholders, textsWithin } from './special-tokens.ts';
import { StreamDecoder } from './stream-decoder.ts';

/** How a text becomes ids. */
export interface EncodeOptions {
  /** Adds the special tokens that the tokenizer puts at the beginning and end of a text, if any. Default true. */
  readonly addSpecialTokens?: boolean | undefined;
  /**
   * Encodes special tokens in the text as ordinary text, which untrusted input requires. Default false.
   */
  readonly splitSpecialTokens?: boolean | undefined;
}

/** How a conversation becomes ids. */
export interface EncodeChatOptions extends ChatOptions, Pick<EncodeOptions, 'splitSpecialTokens'> {}

/** How ids become a text. */
export interface DecodeTextOptions {
  /** Leaves special tokens out. Default false. */
  readonly skipSpecialTokens?: boolean | undefined;
  /**
   * The ids continue a text: the space before the first word, which some tokenizers remove at the beginning of a text,
   * is kept. Default false.
   */
  readonly begun?: boolean | undefined;
}

/** Longer texts are encoded with a time limit, and can be interrupted by SIGINT. */
const SHORT = 4096;
/** Time limit, plus 1 ms for each character: twenty times what the slowest text takes, a single long word. */
const ENCODE_MS = 30_000;
const ENCODE_REMEDY = 'Give the text in parts, or as token ids.';

/** Encodes text as token ids and decodes it, as a Hugging Face `tokenizer.json` describes. */
export class Tokenizer {
  /**
   * Whether a text may be split before whitespace that follows a non-space, and its parts encoded separately, without
   * changing an id. True for GPT-2's byte-level pattern, unless a normalizer or an added token looks across that place.
   */
  readonly splitsBeforeSpaces: boolean;
  /** Undefined if the tokenizer has none. */
  readonly chatTemplate: ChatTemplate | undefined;
  /** The special tokens by their ids. */
  readonly specialTokens: ReadonlyMap<number, string>;
  /** @internal The constructor's arguments, to make the same tokenizer in a worker. */
  readonly definition: { readonly json: unknown; readonly config: unknown; readonly origin: string };
  /** @internal Whether encoding runs regular expressions of the checkpoint. */
  readonly runsPatterns: boolean;
  readonly #tokenizer: HuggingFaceTokenizer;
  readonly #placeholders: PlaceholderReader;
  readonly #origin: string;
  readonly #decoding: (options: DecodingOptions) => Decoding;
  /** The tokens that `skipSpecialTokens` leaves out. */
  readonly #special: ReadonlySet<string>;
  readonly #byteLevel: boolean;
  readonly #added: ReadonlySet<number>;

  /**
   * @param json The content of `tokenizer.json`.
   * @param config The content of `tokenizer_config.json`.
   * @param origin Names the tokenizer in errors.
   * @throws MambaError `invalid-file` if they are malformed, or of a kind that is not supported.
   */
  constructor(json: unknown, config: unknown = {}, origin = 'tokenizer.json') {
    this.#origin = origin;
    try {
      tryAddedTokens(json as object, origin);
      this.#tokenizer = new HuggingFaceTokenizer(json as object, config as object);
      limitPatterns(this.#tokenizer, json as object, origin);
      const added = this.#tokenizer.get_added_tokens_decoder();
      this.#added = new Set(added.keys());
      this.specialTokens = new Map(
        [...added].filter(([, token]) => token.special).map(([id, token]) => [id, token.content]),
      );
      if (!Array.isArray((json as TokenizerParts).added_tokens ?? [])) throw new Error('added_tokens is no list');
      this.#decoding = decodingOf({ ...decodingParts(json as TokenizerParts, config, added.values()), origin });
    } catch (cause) {
      throw this.#damaged(cause);
    }
    this.#placeholders = new PlaceholderReader(this.#tokenizer, new Set(this.specialTokens.values()));
    this.definition = { json, config, origin };
    this.runsPatterns = runsPatterns(json as object);
    this.chatTemplate = chatTemplate(config, origin);
    const parts = json as TokenizerParts;
    this.#special = new Set([...this.specialTokens.values(), ...additionalSpecialTokens(config)]);
    this.#byteLevel = parts.decoder?.type === 'ByteLevel';
    this.splitsBeforeSpaces = splitsBeforeSpaces(parts, config);
  }

  /**
   * The ids of a text.
   * @throws MambaError `invalid-argument` for an unpaired surrogate, and for text that the vocabulary has no token for;
   * `invalid-file` if the patterns of the tokenizer exceed their limits.
   */
  encode(text: string, { addSpecialTokens = true, splitSpecialTokens = false }: EncodeOptions = {}): number[] {
    if (!splitSpecialTokens || typeof text !== 'string') return this.#encode(text, addSpecialTokens);
    const placeholders = new Placeholders(this.specialTokens.values(), [text]);
    return this.#placeholders.read(placeholders, () => this.#encode(placeholders.replace(text), addSpecialTokens));
  }

  /**
   * The ids of a conversation, formatted by the chat template.
   * @throws MambaError `unsupported` without a template, and what `ChatTemplate.render` and `encode` throw.
   */
  encodeChat(
    messages: readonly ChatMessage[],
    { splitSpecialTokens = false, ...options }: EncodeChatOptions = {},
  ): number[] {
    const template = this.chatTemplate;
    if (template === undefined)
      throw new MambaError('unsupported', `${this.#origin} has no chat template`, {
        origin: this.#origin,
        remedy: 'Write the prompt as text; a model without a template was hardly trained on conversations.',
      });
    // The template adds the special tokens itself.
    if (!splitSpecialTokens) return this.#encode(template.render(messages, options), false);
    const placeholders = new Placeholders(this.specialTokens.values(), [...textsWithin(messages), template.source]);
    const text = template.render(placeholders.replaceWithin(messages), options);
    return this.#placeholders.read(placeholders, () => this.#encode(text, false));
  }

  #encode(text: string, addSpecialTokens: boolean): number[] {
    if (typeof text !== 'string') throw invalid('tokenizer.encode', typeof text, 'a string');
    if (/\p{Surrogate}/u.test(text))
      throw invalid('tokenizer.encode', 'text with half of a surrogate pair', 'text that UTF-8 can hold');
    if (text === '') return [];
    let ids: readonly (number | undefined)[];
    try {
      const encode = () => this.#tokenizer.encode(text, { add_special_tokens: addSpecialTokens }).ids;
      const bounds = {
        origin: this.#origin,
        milliseconds: ENCODE_MS + text.length,
        remedy: ENCODE_REMEDY,
        interruptible: true,
      };
      ids = text.length > SHORT ? bounded(bounds, encode) : encode();
    } catch (cause) {
      throw this.#damaged(cause);
    }
    const without = ids.indexOf(undefined);
    if (without >= 0) throw invalid('tokenizer.encode', 'text that has no token', 'text of this vocabulary');
    return ids as number[];
  }

  /**
   * The text of ids, the same as the joined pieces of a `streamDecoder`. Bytes that are not UTF-8 become U+FFFD. Ids
   * without a token, which pad the embedding of some models, have no text.
   * @throws MambaError `invalid-argument` unless all ids are integers of at least 0.
   */
  decode(ids: ArrayLike<number>, options: DecodeTextOptions = {}): string {
    const decoder = this.streamDecoder(options);
    const pieces = Array.from(ids, (id) => decoder.push(id));
    return pieces.join('') + decoder.end();
  }

  /** The id of a token as the vocabulary writes it, special tokens included; undefined if there is none. */
  idOf(token: string): number | undefined {
    return this.#tokenizer.token_to_id(token);
  }

  /** The token of an id as the vocabulary writes it; undefined if the id has none. */
  tokenOf(id: number): string | undefined {
    return this.#tokenizer.id_to_token(id);
  }

  /** Decodes ids as they come, and holds back text that later ids may change, such as half a character. */
  streamDecoder({ skipSpecialTokens = false, begun = false }: DecodeTextOptions = {}): StreamDecoder {
    const tokenOf = (id: number): string | undefined => {
      if (!Number.isSafeInteger(id) || id < 0) throw invalid('tokenizer.decode', String(id), 'ids of at least 0');
      const token: unknown = this.#tokenizer.id_to_token(id);
      if (token === undefined || (skipSpecialTokens && this.#special.has(token as string))) return undefined;
      if (typeof token !== 'string') throw this.#damaged(new Error(`token ${id} is no text`));
      return token;
    };
    return new StreamDecoder(tokenOf, () => this.#decoding({ trims: skipSpecialTokens, begun }));
  }

  /** Number of bytes of text in UTF-8 that a token stands for, which may be a part of a character. */
  byteLength(id: number): number {
    const token = this.#tokenizer.id_to_token(id);
    if (token === undefined) return 0;
    // The byte-level alphabet writes every byte as one character.
    if (this.#byteLevel && !this.#added.has(id)) return [...token].length;
    return new TextEncoder().encode(this.decode([id])).length;
  }

  #damaged(cause: unknown): MambaError {
    if (isMambaError(cause)) return cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new MambaError('invalid-file', `${this.#origin} cannot be used: ${reason}`, { origin: this.#origin, cause });
  }
}

/**
 * Opens the tokenizer of a store: `tokenizer.json`, or `vocab.json` with `merges.txt`. Undefined if there is none.
 * `onWarning` is called for every file beside them that cannot be used and is left out (default: console.warn).
 * @throws MambaError `invalid-file`
 */
export async function openTokenizer(
  store: CheckpointStore,
  { onWarning }: { readonly onWarning?: WarningListener | undefined } = {},
): Promise<Tokenizer | undefined> {
  return makeTokenizer(await readTokenizerFiles(store, onWarning));
}

/**
 * The tokenizer of a checkpoint: from the location that it was opened with, from its GGUF file, or from its folder.
 * Undefined if it has none.
 * @throws MambaError `invalid-file`, and `unsupported` for a kind of vocabulary that is not supported.
 */
export async function checkpointTokenizer(checkpoint: Checkpoint): Promise<Tokenizer | undefined> {
  return makeTokenizer(await checkpoint.tokenizerFiles());
}

function makeTokenizer({ origin, json, config }: TokenizerFiles): Tokenizer | undefined {
  return json && new Tokenizer(json, config, origin);
}

interface TokenizerParts {
  readonly model?: { readonly end_of_word_suffix?: unknown };
  readonly normalizer?: { readonly type?: unknown } | null;
  readonly pre_tokenizer?: Readonly<Record<string, unknown>> | null;
  readonly decoder?: { readonly type?: unknown } | null;
  readonly added_tokens?: readonly { readonly content: string; readonly rstrip?: boolean }[];
}

function decodingParts(
  { model, decoder }: TokenizerParts,
  config: unknown,
  added: Iterable<{ readonly content: string }>,
): Omit<DecodingParts, 'origin'> {
  const suffix = model?.end_of_word_suffix;
  const { clean_up_tokenization_spaces: cleanUp } = config as { readonly clean_up_tokenization_spaces?: unknown };
  return {
    decoder,
    added: new Set(Array.from(added, ({ content }) => content)),
    wordSuffix: decoder && typeof suffix === 'string' && suffix !== '' ? suffix : undefined,
    cleanUp: cleanUp === true,
  };
}

function additionalSpecialTokens(config: unknown): readonly string[] {
  const { additional_special_tokens: named } = config as { readonly additional_special_tokens?: unknown };
  if (!Array.isArray(named)) return [];
  const contents = named.map((token: unknown) => (token as { readonly content?: unknown } | null)?.content ?? token);
  return contents.filter((content) => typeof content === 'string');
}

function splitsBeforeSpaces(parts: TokenizerParts, config: unknown): boolean {
  const { normalizer, pre_tokenizer: pattern, added_tokens: added = [] } = parts;
  const { remove_space: squeeze, do_lowercase_and_remove_accent: lower } = config as Record<string, unknown>;
  const byteLevel = pattern?.type === 'ByteLevel' && pattern.add_prefix_space !== true && pattern.use_regex !== false;
  const plain = normalizer === null || normalizer === undefined || normalizer.type === 'NFC';
  const free = added.every(({ content, rstrip }) => rstrip !== true && !/\S\s/u.test(content));
  return byteLevel && plain && free && squeeze !== true && lower !== true;
}
