import type { ByteSource } from '@mamba/checkpoint';
import { MambaError } from '@mamba/core';
import type { Tokenizer } from './tokenizer.ts';

const READ = 64 * 1024;

/**
 * Encodes a text without special tokens, and yields the same ids as one `encode` in parts. If
 * `tokenizer.splitsBeforeSpaces`, it reads and encodes piece by piece in constant memory; otherwise it encodes the text
 * as a whole.
 * @param read Bytes to read at a time.
 * @throws MambaError `invalid-file` for bytes that are not UTF-8, and what the source throws.
 */
export async function* encodePieces(
  tokenizer: Tokenizer,
  source: ByteSource,
  read = READ,
): AsyncGenerator<readonly number[], void, void> {
  let text = '';
  for await (const part of textOf(source, read)) {
    text += part;
    const end = tokenizer.splitsBeforeSpaces ? lastSplit(text) : 0;
    if (end > 0) yield tokenizer.encode(text.slice(0, end), { addSpecialTokens: false });
    text = text.slice(end);
  }
  if (text !== '') yield tokenizer.encode(text, { addSpecialTokens: false });
}

async function* textOf(source: ByteSource, read: number): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  for (let offset = 0; offset < source.size; offset += read) {
    const length = Math.min(read, source.size - offset);
    const bytes = await source.read(offset, length);
    let text: string;
    try {
      text = decoder.decode(bytes, { stream: offset + length < source.size });
    } catch (cause) {
      throw new MambaError('invalid-file', `${source.name} is not text in UTF-8`, {
        origin: source.name,
        given: `bytes ${offset} to ${offset + length} that are no UTF-8`,
        remedy: 'Convert it to UTF-8 first.',
        cause,
      });
    }
    yield text;
  }
}

/** The index of the last whitespace that follows a non-space; 0 if there is none. */
function lastSplit(text: string): number {
  let index = text.length - 1;
  while (index > 0 && !(/\s/u.test(text[index]!) && /\S/u.test(text[index - 1]!))) index--;
  return Math.max(index, 0);
}
