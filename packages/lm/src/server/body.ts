import type { IncomingMessage } from 'node:http';
import { ApiError, badRequest } from './errors.ts';

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

/**
 * Of a request, numbers aside: a MiB of brackets would take seconds to parse and check, in which nobody else is
 * answered.
 */
const MAX_PARTS = 2 ** 14;
/** Lists and objects within each other. */
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

/** Counts texts, lists, objects and words before they are made. What is no JSON at all is the parser's to say. */
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

/** Of its closing quote, or beyond the text where there is none. */
function endOfString(json: Uint8Array, start: number): number {
  let index = start + 1;
  while (index < json.length && json[index] !== CODE['"']) index += json[index] === CODE['\\'] ? 2 : 1;
  return index;
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
