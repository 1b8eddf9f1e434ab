import type { IncomingMessage } from 'node:http';
import { ApiError } from './errors.ts';

/**
 * Of a body that nobody wants: a client reads no answer while it is still writing, and hears of a broken connection
 * instead.
 */
const MAX_PASSED_BYTES = 2 ** 28;
const MAX_PASSED_MS = 2000;

/** @throws ApiError 413, and what the connection throws. */
export async function readBytes(incoming: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  if (Number(incoming.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  for await (const piece of incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
    size += piece.length;
    if (size > maxBytes) throw tooLarge(maxBytes);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** Reads what is left of a body, within reason. */
export async function passOver(incoming: IncomingMessage): Promise<void> {
  if (incoming.complete || incoming.destroyed) return;
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve) => {
    let size = 0;
    timer = setTimeout(resolve, MAX_PASSED_MS);
    for (const event of ['end', 'close', 'error']) incoming.once(event, resolve);
    incoming.on('data', (piece: Uint8Array) => {
      size += piece.length;
      if (size > MAX_PASSED_BYTES) resolve();
    });
  });
  clearTimeout(timer);
}

function tooLarge(maxBytes: number): ApiError {
  return new ApiError(413, 'invalid_request_error', `The body is larger than ${maxBytes} bytes.`);
}
