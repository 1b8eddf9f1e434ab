import { damaged, list, quote, show } from '../errors.ts';
import { preTokenizer } from '../gguf/pre-tokenizers.ts';
import { findFile } from '../io/find.ts';
import { type JsonObject, readOptionalObject } from '../io/optional.ts';
import { type CheckpointStore, readJson } from '../io/store.ts';
import { leftOutWarning, type WarningListener } from '../warnings.ts';
import { type AddedToken, addedToken, byteLevelBpe, invalidMerge } from './byte-level-bpe.ts';
import { tokenText } from './named-tokens.ts';

/**
 * The tokenizer of `vocab.json` and `merges.txt`, as the content of a `tokenizer.json`: GPT-2's byte-level BPE in its
 * older files. Undefined where there is no such pair, and, with a warning, where it belongs to another kind of
 * tokenizer.
 * @throws MambaError `invalid-file` where the two contradict each other.
 */
export async function readVocabularyFiles(
  store: CheckpointStore,
  config: JsonObject,
  onWarning: WarningListener,
): Promise<object | undefined> {
  const merges = await readMerges(store);
  if (merges === undefined) return undefined;
  const origin = `${store.name}: vocab.json`;
  const vocab = parseVocabulary(origin, await readJson(store, 'vocab.json'));
  if (vocab === undefined) return undefined;
  const kind = kindOf(config.tokenizer_class, vocab);
  if (kind === undefined) {
    const expected = `byte-level BPE of ${list(Object.keys(CLASSES))}`;
    onWarning(
      leftOutWarning(origin, damaged(origin, `that of ${show(config.tokenizer_class)}`, expected, KIND_REMEDY)),
    );
    return undefined;
  }
  const invalid = invalidMerge(merges, vocab);
  if (invalid !== undefined)
    throw damaged(`${store.name}: merges.txt`, `the merge ${quote(invalid)}`, 'two tokens that together are a token');
  const specials = (await readOptionalObject(store, 'special_tokens_map.json', onWarning)) ?? {};
  const more = (await readOptionalObject(store, 'added_tokens.json', onWarning)) ?? {};
  const bos = tokenText(config.bos_token ?? specials.bos_token);
  const all = { ...vocab, ...idsOnly(more) };
  const cut = preTokenizer(kind)!;
  return byteLevelBpe({
    ...{ vocab, merges, ignoreMerges: false },
    added: addedTokens(all, config, specials),
    preTokenizer: config.add_prefix_space === true && 'type' in cut ? { ...cut, add_prefix_space: true } : cut,
    normalizer: kind === 'qwen2' ? { type: 'NFC' } : null,
    first:
      config.add_bos_token === true && bos !== undefined && Object.hasOwn(all, bos)
        ? { id: all[bos]!, token: bos }
        : undefined,
  });
}

/** The pre-tokenizers of the classes that use such files, by llama.cpp's names. The default is GPT-2's. */
const CLASSES: Readonly<Record<string, string>> = {
  GPT2Tokenizer: 'gpt-2',
  GPT2TokenizerFast: 'gpt-2',
  GPTNeoXTokenizer: 'gpt-2',
  GPTNeoXTokenizerFast: 'gpt-2',
  CodeGenTokenizer: 'gpt-2',
  CodeGenTokenizerFast: 'gpt-2',
  Qwen2Tokenizer: 'qwen2',
  Qwen2TokenizerFast: 'qwen2',
};
const KIND_REMEDY =
  'Save the tokenizer as tokenizer.json: AutoTokenizer.from_pretrained(…).save_pretrained(…) of transformers does.';

/**
 * The pre-tokenizer of a class by llama.cpp's name; undefined for a tokenizer that is not byte-level BPE. Tokens that
 * end in `</w>` belong to BPE over characters.
 */
function kindOf(name: unknown, vocab: Readonly<Record<string, number>>): string | undefined {
  if (Object.keys(vocab).some((token) => token.endsWith('</w>'))) return undefined;
  if (name === undefined || name === null) return 'gpt-2';
  return typeof name === 'string' && Object.hasOwn(CLASSES, name) ? CLASSES[name] : undefined;
}

/** Reads the merges: one for each line, after an optional line with the version. */
async function readMerges(store: CheckpointStore): Promise<readonly string[] | undefined> {
  const { source } = await findFile(store, 'merges.txt');
  if (source === undefined) return undefined;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await source.read(0, source.size));
    return text.split(/\r?\n/).filter((line, index) => line !== '' && !(index === 0 && line.startsWith('#version')));
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw damaged(source.name, 'bytes that are not UTF-8', 'text in UTF-8', undefined, cause);
  } finally {
    await source.close();
  }
}

function parseVocabulary(origin: string, json: unknown): Readonly<Record<string, number>> | undefined {
  if (json === undefined) return undefined;
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw damaged(origin, show(json), 'an object from token to id');
  const wrong = Object.entries(json).find(([, id]) => !isId(id));
  if (wrong !== undefined) throw damaged(`${origin}: ${quote(wrong[0])}`, show(wrong[1]), 'an id');
  return json as Readonly<Record<string, number>>;
}

/** The added tokens: those that a file lists with their ids, and special tokens of the vocabulary. */
function addedTokens(ids: Readonly<Record<string, number>>, config: JsonObject, specials: JsonObject): AddedToken[] {
  const added = new Map<number, AddedToken>();
  const place = (
    content: string | undefined,
    special: boolean,
    id = content === undefined ? undefined : ids[content],
  ): void => {
    if (content !== undefined && isId(id) && !added.has(id)) added.set(id, addedToken(id, content, special));
  };
  const listed = config.added_tokens_decoder;
  for (const [id, token] of Object.entries(typeof listed === 'object' && listed !== null ? listed : {}))
    place(tokenText(token), (token as { readonly special?: unknown }).special !== false, Number(id));
  for (const source of [config, specials]) {
    for (const [name, value] of Object.entries(source)) {
      if (name.endsWith('_token')) place(tokenText(value), true);
      if (name === 'additional_special_tokens' && Array.isArray(value))
        for (const token of value) place(tokenText(token), true);
    }
  }
  return [...added.values()];
}

function idsOnly(json: JsonObject): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(json).filter((entry): entry is [string, number] => isId(entry[1])));
}

function isId(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
