import { type ByteSource, bytesSource, openFile } from '@mamba/checkpoint';
import { MambaError } from '@mamba/core';

/** In UTF-8. Some editors and shells put it before a text. */
const BYTE_ORDER_MARK = Uint8Array.of(0xef, 0xbb, 0xbf);

/**
 * Opens a file, or standard input for `-`, which is read to its end first to know its size. A byte order mark is
 * skipped.
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
 * The text of a prompt: the argument itself, or standard input for `-`, without a byte order mark and a final line
 * break, which editors and `echo` add.
 * @throws MambaError `invalid-argument` unless it is UTF-8.
 */
export async function readPrompt(argument: string, signal: AbortSignal): Promise<string> {
  if (argument !== '-') {
    // Node replaces bytes of arguments that are not UTF-8.
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
  // Makes the loop throw.
  signal.addEventListener('abort', () => process.stdin.destroy(), { once: true });
  for await (const piece of process.stdin) pieces.push(piece as Uint8Array);
  return Buffer.concat(pieces);
}
