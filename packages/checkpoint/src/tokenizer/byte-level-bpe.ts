/** Makes the content of a `tokenizer.json` for byte-level BPE from its parts. */

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

export interface ByteLevelBpe {
  readonly vocab: Readonly<Record<string, number>>;
  /** Merges in the order of their ranks, each as two tokens with a space between them. */
  readonly merges: readonly string[];
  readonly added: readonly AddedToken[];
  readonly preTokenizer: object;
  readonly normalizer: object | null;
  /** Whether a piece that is a token already is taken without merging its bytes. */
  readonly ignoreMerges: boolean;
  /** The token that is put before every text. */
  readonly first: { readonly id: number; readonly token: string } | undefined;
}

export function byteLevelBpe(parts: ByteLevelBpe): object {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: parts.added,
    normalizer: parts.normalizer,
    pre_tokenizer: parts.preTokenizer,
    post_processor: parts.first === undefined ? null : beginningWith(parts.first),
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: parts.ignoreMerges,
      vocab: parts.vocab,
      merges: parts.merges,
    },
  };
}

/** A token that is matched in a text literally. */
export function addedToken(id: number, content: string, special: boolean): AddedToken {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special };
}

/** The first merge that does not join two tokens of the vocabulary to a third. */
export function invalidMerge(merges: readonly string[], vocab: Readonly<Record<string, number>>): string | undefined {
  return merges.find((merge) => {
    const [left, right, ...rest] = merge.split(' ');
    const known = left && right && rest.length === 0 && Object.hasOwn(vocab, left) && Object.hasOwn(vocab, right);
    return !known || !Object.hasOwn(vocab, left + right);
  });
}

function beginningWith({ id, token }: { readonly id: number; readonly token: string }): object {
  const first = { SpecialToken: { id: token, type_id: 0 } };
  const a = { Sequence: { id: 'A', type_id: 0 } };
  return {
    type: 'TemplateProcessing',
    single: [first, a],
    pair: [first, a, { Sequence: { id: 'B', type_id: 0 } }],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  };
}
