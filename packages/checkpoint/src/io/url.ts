import { MambaError } from '@mamba/core';
import { allocate, damaged } from '../errors.ts';
import { type ByteSource, bytesSource, checkRange, shortened } from './byte-source.ts';
import { type RequestInput, type RequestOptions, request, statusOf, unreachable } from './request.ts';
import { retry, Transient } from './retry.ts';

export interface UrlOptions extends RequestOptions {
  /** Largest file that is read whole where the server does not serve ranges. Default 64 MiB. */
  readonly maxWhole?: number | undefined;
}

/** Asked for first: enough for a small JSON file, or most safetensors headers, in one request. */
const FIRST = 64 * 1024;

/**
 * A file behind http(s), read by ranges. What fails of the connection, or of a busy server, is attempted again.
 * @throws MambaError `invalid-file` where there is none (404), `io` where the network or the server fails,
 * `unsupported` where the server ignores ranges and the file is larger than `maxWhole`, `aborted`.
 */
export async function openUrl(url: string | URL, options: UrlOptions = {}): Promise<ByteSource> {
  const source = await openUrlIfPresent(url, options);
  if (source === undefined) throw damaged(String(url), 'no such file (404)', 'a file', 'Check the address.');
  return source;
}

export async function openUrlIfPresent(url: string | URL, options: UrlOptions = {}): Promise<ByteSource | undefined> {
  return retry(() => open(String(url), options), options);
}

async function open(name: string, options: UrlOptions): Promise<ByteSource | undefined> {
  const response = await get(name, options, `bytes=0-${FIRST - 1}`);
  const { status } = response;
  if (status === 200) return bytesSource(await readWhole(name, response, options), name);
  if (status === 206 && !isEncoded(response)) {
    const first = await body(name, response, options);
    const size = totalSize(response) ?? (await sizeByHead(name, options));
    if (size !== undefined) return rangeSource(name, size, checkLength(name, first, Math.min(FIRST, size)), options);
    return openWithoutRange(name, first, options);
  }
  await response.body?.cancel();
  if (status === 404 || status === 410) return undefined;
  if (status === 416 && totalSize(response) === 0) return bytesSource(new Uint8Array(0), name);
  // Ranges of compressed bytes are of no use, and some servers refuse those of a short file.
  if (status === 206 || status === 416) return openWithoutRange(name, undefined, options);
  throw refused(name, response);
}

/** The answer to a plain request says the size where nothing else does; where it does not either, it is read. */
async function openWithoutRange(name: string, first: Uint8Array | undefined, options: UrlOptions): Promise<ByteSource> {
  const response = await get(name, options);
  if (response.status !== 200) {
    await response.body?.cancel();
    throw refused(name, response);
  }
  const size = first && contentLength(response);
  if (first === undefined || size === undefined) return bytesSource(await readWhole(name, response, options), name);
  await response.body?.cancel();
  return rangeSource(name, size, checkLength(name, first, Math.min(FIRST, size)), options);
}

function rangeSource(name: string, size: number, first: Uint8Array, options: UrlOptions): ByteSource {
  const read = async (offset: number, length: number): Promise<Uint8Array> => {
    const response = await get(name, options, `bytes=${offset}-${offset + length - 1}`);
    // It may be another server of the same name, without ranges.
    if (response.status === 200) return readPart(name, response, offset, length, options);
    if (response.status !== 206) {
      await response.body?.cancel();
      throw refused(name, response);
    }
    const total = totalSize(response) ?? size;
    if (total !== size)
      throw damaged(name, `a file of ${total} bytes`, `${size}: it was replaced while it was read`, 'Open it again.');
    return checkLength(name, await body(name, response, options), length);
  };
  return {
    name,
    size,
    async read(offset, length) {
      checkRange(name, offset, length, size);
      if (offset + length <= first.length) return first.subarray(offset, offset + length);
      return retry(() => read(offset, length), options);
    },
    async close() {},
  };
}

function get(name: string, options: UrlOptions, range?: string): Promise<Response> {
  const input: RequestInput = range === undefined ? {} : { headers: { Range: range } };
  return request(name, input, options);
}

async function body(name: string, response: Response, { signal }: UrlOptions): Promise<Uint8Array> {
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    throw unreachable(name, signal, cause);
  }
}

function checkLength(name: string, bytes: Uint8Array, expected: number): Uint8Array {
  if (bytes.length === expected) return bytes;
  throw shortened(name, bytes.length, expected, new Transient('the answer is of another length'));
}

/** A part of a whole that the server sends; no more of it than is needed is waited for. */
async function readPart(
  name: string,
  response: Response,
  offset: number,
  length: number,
  { signal }: UrlOptions,
): Promise<Uint8Array> {
  const reader = response.body?.getReader();
  const bytes = allocate(name, length);
  let start = 0;
  try {
    while (start < offset + length) {
      const piece = (await reader?.read())?.value;
      if (piece === undefined) return checkLength(name, bytes.subarray(0, Math.max(start - offset, 0)), length);
      const from = Math.max(offset - start, 0);
      if (from < piece.length) bytes.set(piece.subarray(from, offset + length - start), start + from - offset);
      start += piece.length;
    }
    return bytes;
  } catch (cause) {
    throw unreachable(name, signal, cause);
  } finally {
    await reader?.cancel().catch(() => undefined);
  }
}

/** The server sent everything; taken as it comes, so that a file of unknown size is refused before it is in memory. */
async function readWhole(
  name: string,
  response: Response,
  { maxWhole = 64 * 2 ** 20, signal }: UrlOptions,
): Promise<Uint8Array> {
  const reader = response.body?.getReader();
  const checkSize = (size: number): void => {
    if (size <= maxWhole) return;
    throw new MambaError('unsupported', `${name} is served without ranges`, {
      origin: name,
      given: `more than ${maxWhole} bytes from a server that ignores the Range header`,
      remedy: 'Use a server that supports ranges, or download the file.',
    });
  };
  try {
    // A hint: it counts compressed bytes where the server compresses, and may be absent.
    const announced = Number(response.headers.get('content-length') ?? 0);
    checkSize(announced);
    let bytes = allocate(name, announced);
    let size = 0;
    for (let piece = await reader?.read(); piece?.value !== undefined; piece = await reader?.read()) {
      const end = size + piece.value.length;
      checkSize(end);
      if (end > bytes.length) {
        const larger = allocate(name, Math.min(Math.max(end, 2 * bytes.length), maxWhole));
        larger.set(bytes.subarray(0, size));
        bytes = larger;
      }
      bytes.set(piece.value, size);
      size = end;
    }
    return bytes.subarray(0, size);
  } catch (cause) {
    await reader?.cancel().catch(() => undefined);
    throw unreachable(name, signal, cause);
  }
}

/** Browsers hide Content-Range across origins unless the server exposes it; Content-Length they show. */
async function sizeByHead(name: string, options: UrlOptions): Promise<number | undefined> {
  const response = await request(name, { method: 'HEAD', headers: { 'Accept-Encoding': 'identity' } }, options);
  return response.ok ? contentLength(response) : undefined;
}

/** Undefined where it is not said, or counts compressed bytes. */
function contentLength(response: Response): number | undefined {
  const text = response.headers.get('content-length');
  return text === null || isEncoded(response) || !Number.isSafeInteger(Number(text)) ? undefined : Number(text);
}

function isEncoded(response: Response): boolean {
  return !/^(identity)?$/i.test(response.headers.get('content-encoding')?.trim() ?? '');
}

function totalSize(response: Response): number | undefined {
  const total = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1];
  return total === undefined ? undefined : Number(total);
}

function refused(name: string, response: Response): MambaError {
  const closed = response.status === 401 || response.status === 403;
  return new MambaError('io', `the server did not give ${name}`, {
    origin: name,
    given: statusOf(response),
    expected: 'status 206 with Content-Range, or 200',
    remedy: closed ? 'Give the headers that it wants (Authorization), if it is not public.' : 'Check the address.',
  });
}
