/** The tokenizer of `byteTokens` as the files that Hugging Face's tokenizers read, so that others can use a model. */
import { BYTE_END } from './tokens.ts';

const END = '<|endoftext|>';

/** The texts of the files by their names. */
export function byteTokenizerFiles(): ReadonlyMap<string, string> {
  const vocab = Object.fromEntries(Array.from({ length: 256 }, (_, byte) => [letterOf(byte), byte]));
  const end = {
    ...{ id: BYTE_END, content: END, special: true, normalized: false },
    ...{ single_word: false, lstrip: false, rstrip: false },
  };
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
  const files = {
    'tokenizer.json': {
      ...{ version: '1.0', truncation: null, padding: null, added_tokens: [end] },
      ...{ normalizer: null, pre_tokenizer: byteLevel, post_processor: null, decoder: byteLevel },
      model: {
        ...{ type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null },
        ...{ fuse_unk: false, byte_fallback: false, vocab: { ...vocab, [END]: BYTE_END }, merges: [] },
      },
    },
    'tokenizer_config.json': {
      tokenizer_class: 'PreTrainedTokenizerFast',
      clean_up_tokenization_spaces: false,
      eos_token: END,
    },
  };
  return new Map(Object.entries(files).map(([name, content]) => [name, `${JSON.stringify(content, null, 2)}\n`]));
}

/** GPT-2's letter of a byte: itself where it can be printed, and one from 256 on in the order of the others. */
function letterOf(byte: number): string {
  if (printable(byte)) return String.fromCharCode(byte);
  let others = 0;
  for (let before = 0; before < byte; before++) if (!printable(before)) others++;
  return String.fromCharCode(256 + others);
}

function printable(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
}
