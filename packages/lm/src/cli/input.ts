import { type ByteSource, bytesSource, openFile } from '@mamba/checkpoint';
import { MambaError } from '@mamba/core';

/** What some editors and shells put before a text in UTF-8: no part of it. */
const BYTE_ORDER_MARK = Uint8Array.of(0xef, 0xbb, 0xbf);

/**
 * The text of a file, or of `-` for standard input, which is read to its end first: its size is not known before. A
 * byte order mark is left out.
 */
export async function openInput(path: string, signal: AbortSignal): Promise<ByteSource> {
  const source = path === '-' ? bytesSource(await readStandardInput(signal), 'standard input') : await openFile(path);
  try {
    const size = BYTE_ORDER_MARK.length;
    const marked = source.size >= size && startsWith(await source.read(0, size), BYTE_ORDER_MARK);
    return marked ? behind(source, size) : source;
  } catch (error) {
    await source.close();
    throw error;
  }
}

/**
 * The text of a prompt: the argument itself, or standard input where it is `-`, without the byte order mark and the
 * line break that editors and `echo` put around it.
 * @throws MambaError `invalid-argument` where it is no UTF-8.
 */
export async function readPrompt(argument: string, signal: AbortSignal): Promise<string> {
  if (argument !== '-') {
    // Node has replaced what was no UTF-8 by then.
    if (argument.includes('\ufffd'))
      throw notUtf8('bytes that are no UTF-8, or U+FFFD itself', 'Give it through standard input, as - .');
    return argument;
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await readStandardInput(signal));
    return text.replace(/\r?\n$/, '');
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw notUtf8('bytes that are no UTF-8', 'Convert it to UTF-8 first.');
  }
}

function startsWith(bytes: Uint8Array, beginning: Uint8Array): boolean {
  return beginning.every((byte, index) => bytes[index] === byte);
}

/** The same source without its first bytes. */
function behind(source: ByteSource, skipped: number): ByteSource {
  return {
    name: source.name,
    size: source.size - skipped,
    read: (offset, length) => source.read(offset + skipped, length),
    close: () => source.close(),
  };
}

function notUtf8(given: string, remedy: string): MambaError {
  return new MambaError('invalid-argument', 'the prompt is not text', {
    origin: 'prompt',
    given,
    expected: 'UTF-8',
    remedy,
  });
}

async function readStandardInput(signal: AbortSignal): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  // Reading ends with an error then, and the command with it.
  signal.addEventListener('abort', () => process.stdin.destroy(), { once: true });
  for await (const piece of process.stdin) pieces.push(piece as Uint8Array);
  return Buffer.concat(pieces);
}
