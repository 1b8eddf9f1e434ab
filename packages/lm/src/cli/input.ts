import { type ByteSource, bytesSource, openFile } from '@mamba/checkpoint';
import { MambaError } from '@mamba/core';

/** A file, or `-` for standard input, which is read to its end first: its size is not known before. */
export async function openInput(path: string, signal: AbortSignal): Promise<ByteSource> {
  return path === '-' ? bytesSource(await readStandardInput(signal), 'standard input') : openFile(path);
}

/**
 * The text of a prompt: the argument itself, or standard input where it is `-`, without the line break that `echo` and editors put last.
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
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(await readStandardInput(signal));
    return text.replace(/\r?\n$/, '');
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw notUtf8('bytes that are no UTF-8', 'Convert it to UTF-8 first.');
  }
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
