/**
 * A tokenizer for models of seeded weights: one token for each byte, as byte-level BPE writes it, and a merge that no
 * text of letters uses. Peers want a tokenizer, and some take text alone.
 */
import { bytesSource, type CheckpointStore, readTokenizerFiles } from '@mamba/checkpoint';

export const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

/** The end of a text: after the tokens of the bytes and the one that the merge makes. */
export const END_OF_TEXT = 257;

/** The content of a `tokenizer.json`. */
export async function byteTokenizer(): Promise<object> {
  const vocab = Object.fromEntries([...byteCharacters(), '!!'].map((token, id) => [token, id]));
  const config = { added_tokens_decoder: { [END_OF_TEXT]: { content: '<|endoftext|>', special: true } } };
  const files: Readonly<Record<string, string>> = {
    'vocab.json': JSON.stringify(vocab),
    'merges.txt': '! !\n',
    'tokenizer_config.json': JSON.stringify(config),
  };
  const store: CheckpointStore = {
    name: 'bytes',
    async open(file) {
      const text = files[file];
      return text === undefined ? undefined : bytesSource(new TextEncoder().encode(text), file);
    },
  };
  return (await readTokenizerFiles(store)).json!;
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
