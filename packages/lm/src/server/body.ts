import type { IncomingMessage } from 'node:http';
import { ApiError, badRequest } from './errors.ts';

/**
 * Limits for discarding the rest of a refused body. It has to be read, since a client that is still writing would see a
 * broken connection instead of the answer.
 */
const MAX_DISCARDED_BYTES = 2 ** 28;
const MAX_DISCARD_MS = 2000;

/** Reads a body. @throws ApiError 413, and what the connection throws. */
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

/**
 * Most strings, lists, objects and words of a body: parsing and checking a MiB of brackets would block the server for
 * seconds. Numbers do not count.
 */
const MAX_PARTS = 2 ** 14;
/** Most lists and objects within each other. */
const MAX_DEPTH = 64;

/** @throws ApiError 400 */
export function parseJson(bytes: Uint8Array): unknown {
  checkParts(bytes);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown;
  } catch (error) {
    throw badRequest(`The body is not JSON in UTF-8: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Checks the limits before parsing. Malformed JSON is left to the parser. */
function checkParts(json: Uint8Array): void {
  let depth = 0;
  let parts = 0;
  for (let index = 0; index < json.length; index++) {
    switch (json[index]) {
      case CODE['"']:
        parts++;
        index = endOfString(json, index);
        break;
      case CODE['[']:
      case CODE['{']:
        parts++;
        if (++depth > MAX_DEPTH) throw badRequest(`The body nests lists and objects deeper than ${MAX_DEPTH}.`);
        break;
      case CODE[']']:
      case CODE['}']:
        depth--;
        break;
      case CODE.t:
      case CODE.f:
      case CODE.n:
        parts++;
    }
    if (parts > MAX_PARTS) throw badRequest(`The body holds more than ${MAX_PARTS} texts, lists and objects.`);
  }
}

const CODE = { '"': 0x22, '\\': 0x5c, '[': 0x5b, ']': 0x5d, '{': 0x7b, '}': 0x7d, t: 0x74, f: 0x66, n: 0x6e } as const;

/** The index of the closing quote; beyond the end if there is none. */
function endOfString(json: Uint8Array, start: number): number {
  let index = start + 1;
  while (index < json.length && json[index] !== CODE['"']) index += json[index] === CODE['\\'] ? 2 : 1;
  return index;
}

/** Reads and discards the rest of a body, within limits. */
export async function discardBody(incoming: IncomingMessage): Promise<void> {
  if (incoming.complete || incoming.destroyed) return;
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve) => {
    let size = 0;
    timer = setTimeout(resolve, MAX_DISCARD_MS);
    for (const event of ['end', 'close', 'error']) incoming.once(event, resolve);
    incoming.on('data', (piece: Uint8Array) => {
      size += piece.length;
      if (size > MAX_DISCARDED_BYTES) resolve();
    });
  });
  clearTimeout(timer);
}

function tooLarge(maxBytes: number): ApiError {
  return new ApiError(413, 'invalid_request_error', `The body is larger than ${maxBytes} bytes.`);
}
