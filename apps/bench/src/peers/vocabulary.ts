/**
 * A tokenizer for models of seeded weights: the bytes, as byte-level BPE writes them, and no merges that a text of letters could
 * use. Peers want one, and some take text alone.
 */
export const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

/** Content of a `tokenizer.json`. */
export function byteTokenizer(): object {
  const vocab = Object.fromEntries([...byteCharacters()].map((character, id) => [character, id]));
  const merged = Object.keys(vocab).length;
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [
      {
        id: merged + 1,
        content: '<|endoftext|>',
        special: true,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
      },
    ],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: { ...vocab, '!!': merged },
      merges: ['! !'],
    },
  };
}

export function letterToken(letter: string): number {
  return byteCharacters().indexOf(letter);
}

/** GPT-2's characters for the bytes 0 … 255: printable ones stand for themselves, others are moved beyond 255. */
function byteCharacters(): string[] {
  let moved = 0;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
    return String.fromCodePoint(printable ? byte : 256 + moved++);
  });
}
