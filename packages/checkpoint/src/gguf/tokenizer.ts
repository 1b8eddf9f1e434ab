import { MambaError } from '@mamba/core';
import { invalid } from '@mamba/core/toolkit';
import type { SpecialTokens } from '../config/special-tokens.ts';
import { damaged, quote, show } from '../errors.ts';
import { parseJson } from '../io/json.ts';
import { type AddedToken, addedToken, byteLevelBpe, invalidMerge } from '../tokenizer/byte-level-bpe.ts';
import type { GgufFile } from './file.ts';
import { Metadata, type TypedValue } from './metadata.ts';
import { ignoresMerges, knownPreTokenizers, preTokenizer } from './pre-tokenizers.ts';

/**
 * The tokenizer of a GGUF file, as the content of a `tokenizer.json`: the original one where the file holds it
 * (`tokenizer.huggingface.json`), else byte-level BPE from llama.cpp's vocabulary and merges. Undefined where the file
 * has none.
 * @throws MambaError `invalid-file` where the parts contradict each other, `unsupported` for other models
 * (SentencePiece, WordPiece, …) and for unknown pre-tokenizers.
 */
export function ggufTokenizer(file: Pick<GgufFile, 'name' | 'metadata'>): object | undefined {
  if (!hasGgufTokenizer(file)) return undefined;
  const metadata = new Metadata(file.name, file.metadata);
  if (file.metadata.has(ORIGINAL)) return parseOriginal(metadata);
  const model = metadata.string(MODEL);
  if (model !== 'gpt2') throw unsupported(metadata.origin(MODEL), show(model), '"gpt2", which is byte-level BPE');
  const pre = metadata.string(PRE, 'default');
  const pretokenizer = preTokenizer(pre);
  if (pretokenizer === undefined)
    throw unsupported(metadata.origin(PRE), show(pre), `one of ${knownPreTokenizers()}`, PRE_REMEDY);
  const { vocab, added } = parseVocabulary(metadata);
  const merges = metadata.strings(MERGES);
  const invalid = invalidMerge(merges, vocab);
  if (invalid !== undefined)
    throw damaged(metadata.origin(MERGES), `the merge ${quote(invalid)}`, 'two tokens that together are a token');
  return byteLevelBpe({
    ...{ vocab, merges, added, preTokenizer: pretokenizer, normalizer: null },
    ignoreMerges: ignoresMerges(pre),
    first: metadata.boolean(ADD_BOS, false) ? bosToken(metadata) : undefined,
  });
}

export function hasGgufTokenizer({ metadata }: Pick<GgufFile, 'metadata'>): boolean {
  const model = metadata.get(MODEL) ?? 'none';
  return metadata.has(ORIGINAL) || (model !== 'no_vocab' && model !== 'none');
}

/**
 * llama.cpp's metadata for a byte-level BPE tokenizer. A tokenizer with properties that these cannot express (a
 * normaliser, a template, tokens that strip spaces) is stored as its whole `tokenizer.json` in addition.
 * @param vocabSize Number of rows of the embedding. llama.cpp requires a token for each, so missing ones are filled in
 * as unused.
 * @throws MambaError `unsupported` for another tokenizer, `invalid-argument` where it does not fit the vocabulary.
 */
export function tokenizerMetadata(
  tokenizer: unknown,
  vocabSize: number,
  { bos }: SpecialTokens,
): readonly [string, TypedValue][] {
  const parts = parseTokenizer(tokenizer);
  const tokens: (string | undefined)[] = new Array(vocabSize).fill(undefined);
  const types: number[] = new Array(vocabSize).fill(UNUSED);
  const place = (token: string, id: number, type: number): void => {
    if (!(Number.isSafeInteger(id) && id >= 0 && id < vocabSize))
      throw invalid(ORIGIN, `the token ${quote(token)} with id ${id}`, `ids from 0 to ${vocabSize - 1}`);
    if (tokens[id] !== undefined && tokens[id] !== token)
      throw invalid(ORIGIN, `the id ${id} for ${quote(tokens[id])} and ${quote(token)}`, 'a token for an id');
    tokens[id] = token;
    types[id] = type;
  };
  for (const [token, id] of Object.entries(parts.vocab)) place(token, id, NORMAL);
  for (const { content, id, special } of parts.added) place(content, id, special ? CONTROL : USER_DEFINED);
  const merges = parts.merges.map((merge) => (typeof merge === 'string' ? merge : merge.join(' ')));
  return [
    [MODEL, { type: 'string', value: 'gpt2' }],
    [PRE, { type: 'string', value: parts.pre }],
    [TOKENS, { type: 'string[]', value: tokens.map((token, index) => token ?? `[PAD${index}]`) }],
    [TYPES, { type: 'int32[]', value: types }],
    [MERGES, { type: 'string[]', value: merges }],
    [ADD_BOS, { type: 'bool', value: parts.first !== undefined && parts.first === bos }],
    ...(parts.simple ? [] : [[ORIGINAL, { type: 'string', value: JSON.stringify(tokenizer) }] as [string, TypedValue]]),
  ];
}

/** The metadata entry that tells llama.cpp that a file has no tokenizer. */
export const NO_TOKENIZER: readonly [string, TypedValue] = [
  'tokenizer.ggml.model',
  { type: 'string', value: 'no_vocab' },
];

const ORIGIN = 'writeGguf.tokenizer';
const ORIGINAL = 'tokenizer.huggingface.json';
const MODEL = 'tokenizer.ggml.model';
const PRE = 'tokenizer.ggml.pre';
const TOKENS = 'tokenizer.ggml.tokens';
const TYPES = 'tokenizer.ggml.token_type';
const MERGES = 'tokenizer.ggml.merges';
const ADD_BOS = 'tokenizer.ggml.add_bos_token';
const PRE_REMEDY = 'Keep the original tokenizer.json beside the model.';

const NORMAL = 1;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;

function parseOriginal(metadata: Metadata): object {
  const json = parseJson(metadata.origin(ORIGINAL), new TextEncoder().encode(metadata.string(ORIGINAL)));
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw damaged(metadata.origin(ORIGINAL), show(json), 'a JSON object');
  return json;
}

function parseVocabulary(metadata: Metadata): { vocab: Readonly<Record<string, number>>; added: AddedToken[] } {
  const tokens = metadata.strings(TOKENS);
  const types = metadata.integers(TYPES);
  if (types !== undefined && types.length !== tokens.length)
    throw damaged(metadata.origin(TYPES), `${types.length} types`, `${tokens.length}, one a token`);
  // A map, since a token may be "__proto__".
  const vocab = new Map<string, number>();
  const added: AddedToken[] = [];
  for (const [id, content] of tokens.entries()) {
    const type = types?.[id] ?? NORMAL;
    if (type === UNUSED) continue;
    if (vocab.has(content)) throw damaged(metadata.origin(TOKENS), `the token ${quote(content)} twice`, 'each once');
    vocab.set(content, id);
    if (type === CONTROL || type === USER_DEFINED) added.push(addedToken(id, content, type === CONTROL));
  }
  return { vocab: Object.fromEntries(vocab), added };
}

/** The token that begins every text; undefined where its id is not a token. `ggufSpecialTokens` warns of that. */
function bosToken(metadata: Metadata): { id: number; token: string } | undefined {
  const id = metadata.values.get('tokenizer.ggml.bos_token_id');
  const token = typeof id === 'number' ? metadata.strings(TOKENS)[id] : undefined;
  return token === undefined ? undefined : { id: id as number, token };
}

interface TokenizerParts {
  readonly vocab: Readonly<Record<string, number>>;
  readonly merges: readonly (string | readonly string[])[];
  readonly added: readonly AddedToken[];
  readonly pre: string;
  /** The id that a template puts before every text. */
  readonly first: number | undefined;
  /** Whether llama.cpp's metadata express the whole tokenizer. */
  readonly simple: boolean;
}

type Json = Readonly<Record<string, unknown>>;

function parseTokenizer(tokenizer: unknown): TokenizerParts {
  const json = object(tokenizer, 'a tokenizer.json');
  const model = object(json.model, 'a model');
  if (model.type !== 'BPE') throw unsupported(`${ORIGIN}: model.type`, show(model.type), '"BPE"');
  for (const name of ['continuing_subword_prefix', 'end_of_word_suffix', 'byte_fallback'] as const)
    if (model[name]) throw unsupported(`${ORIGIN}: model.${name}`, show(model[name]), 'byte-level BPE, without it');
  const added = (json.added_tokens ?? []) as readonly Json[];
  const pre = preTokenizerName(json.pre_tokenizer, model.ignore_merges === true);
  if (!Array.isArray(model.merges) || !Array.isArray(added)) throw invalid(ORIGIN, 'no merges', 'a list of merges');
  const first = firstOfTemplate(json.post_processor);
  const plain = (token: Json): boolean => !(token.lstrip || token.rstrip || token.single_word || token.normalized);
  const processor = json.post_processor as Json | null | undefined;
  return {
    vocab: object(model.vocab, 'a vocabulary') as Readonly<Record<string, number>>,
    merges: model.merges,
    added: added as unknown as readonly AddedToken[],
    pre,
    first,
    simple:
      (json.normalizer ?? null) === null &&
      ((processor ?? null) === null || processor?.type === 'ByteLevel') &&
      !isFalcon(json.pre_tokenizer) &&
      added.every(plain),
  };
}

function firstOfTemplate(processor: unknown): number | undefined {
  const { type, single, special_tokens: specials } = (processor ?? {}) as Json;
  if (type !== 'TemplateProcessing' || !Array.isArray(single)) return undefined;
  const name = (single[0] as { SpecialToken?: { id?: string } } | undefined)?.SpecialToken?.id;
  return (specials as Record<string, { ids?: number[] }> | undefined)?.[name ?? '']?.ids?.[0];
}

/** llama.cpp's name for a pre-tokenizer. */
function preTokenizerName(given: unknown, ignoreMerges: boolean): string {
  if (isFalcon(given)) return 'falcon';
  const patterns = patternsOf(given);
  for (const name of ['gpt-2', 'default', 'falcon', 'starcoder', 'llama-bpe', 'dbrx', 'qwen2']) {
    const known = patternsOf(preTokenizer(name));
    if (ignoresMerges(name) === ignoreMerges && JSON.stringify(known) === JSON.stringify(patterns)) return name;
  }
  throw unsupported(
    `${ORIGIN}: pre_tokenizer`,
    show(given),
    `ByteLevel, or the patterns of one of ${knownPreTokenizers()}`,
  );
}

/**
 * Whether this is the pre-tokenizer of Falcon and Falcon-Mamba, which is written differently from llama.cpp's patterns.
 */
function isFalcon(given: unknown): boolean {
  const { pretokenizers } = (given ?? {}) as Json;
  if (!Array.isArray(pretokenizers)) return false;
  return pretokenizers.map((part: Json) => part.type).join() === 'Punctuation,ByteLevel,Digits,Split';
}

/** The patterns of a pre-tokenizer in order, with both spellings of contractions made equal. */
function patternsOf(given: unknown): readonly unknown[] {
  const parts = (given ?? {}) as Json;
  if (parts.type === 'Sequence') return (parts.pretokenizers as unknown[]).flatMap(patternsOf);
  if (parts.type === 'ByteLevel')
    return parts.add_prefix_space === true ? ['space'] : parts.use_regex === false ? ['bytes'] : ['gpt-2', 'bytes'];
  if (parts.type !== 'Split' || parts.behavior !== 'Isolated' || parts.invert === true) return [parts];
  const { Regex: pattern } = (parts.pattern ?? {}) as Json;
  return [String(pattern).replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)", CASELESS)];
}

const CASELESS = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";

function object(value: unknown, expected: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(ORIGIN, show(value), expected);
  return value as Json;
}

function unsupported(origin: string, given: string, expected: string, remedy?: string): MambaError {
  return new MambaError('unsupported', `${origin} is not supported`, { origin, given, expected, remedy });
}
