import { MambaError } from '@mamba/core';
import { allocate, damaged } from '../errors.ts';
import { type ByteSource, bytesSource, checkRange, shortReadError } from './byte-source.ts';
import {
  type RequestInput,
  type RequestOptions,
  type Route,
  refusalOf,
  request,
  statusOf,
  unreachable,
} from './request.ts';
import { retry, Transient } from './retry.ts';

/** How files of an address are read. */
export interface UrlOptions extends RequestOptions {
  /**
   * Largest size in bytes of a file that is read as a whole, where the server does not serve ranges. Default 64 MiB.
   */
  readonly maxWhole?: number | undefined;
}

/** Bytes of the first request: enough for a small JSON file and for most safetensors headers. */
const FIRST = 64 * 1024;
/** A response with fewer bytes than this, and fewer than were asked for, was interrupted. */
const LEAST = 1024;

interface RemoteFile {
  readonly name: string;
  readonly options: UrlOptions;
  readonly route: Route;
}

/**
 * Opens a file behind http(s), which is read by ranges. Requests that fail because of the connection or a busy server
 * are repeated.
 * @throws MambaError `invalid-file` where there is no such file (404), `io` where the network or the server fails,
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
  const file: RemoteFile = { name, options, route: {} };
  const response = await get(file, `bytes=0-${FIRST - 1}`);
  const { status } = response;
  if (status === 200) return bytesSource(await readWhole(file, response), name);
  if (status === 206 && !isEncoded(response)) {
    const range = contentRange(response);
    const first = allocate(name, FIRST);
    const start = first.subarray(0, await fill(file, response, 0, first, range?.total ?? 0));
    const size = range?.total ?? (await sizeByHead(file, start));
    return size === undefined ? openWithoutRange(file, start) : rangeSource(file, size, start);
  }
  await response.body?.cancel();
  if (status === 404 || status === 410) return undefined;
  if (status === 416 && contentRange(response)?.total === 0) return bytesSource(new Uint8Array(0), name);
  // Ranges of compressed bytes cannot be used, and some servers refuse ranges of a short file.
  if (status === 206 || status === 416) return openWithoutRange(file, undefined);
  throw refused(name, response);
}

/**
 * Opens a file without ranges. The response to a plain request gives the size; where it does not, the file is read as a
 * whole.
 */
async function openWithoutRange(file: RemoteFile, first: Uint8Array | undefined): Promise<ByteSource> {
  const response = await get(file);
  if (response.status !== 200) {
    await response.body?.cancel();
    throw refused(file.name, response);
  }
  const size = contentLength(response);
  if (first === undefined || size === undefined || !(await hasSize(file, size, first)))
    return bytesSource(await readWhole(file, response), file.name);
  await response.body?.cancel();
  return rangeSource(file, size, first);
}

/** @param first The first bytes of the file, as far as they are known. */
function rangeSource(file: RemoteFile, size: number, first: Uint8Array): ByteSource {
  const { name, options } = file;
  return {
    name,
    size,
    async read(offset, length) {
      checkRange(name, offset, length, size);
      if (offset + length <= first.length) return first.subarray(offset, offset + length);
      const bytes = allocate(name, length);
      let done = 0;
      const readRest = async (): Promise<void> => {
        while (done < length) done += await readRange(file, size, offset + done, bytes.subarray(done));
      };
      await retry(readRest, { ...options, progress: () => done });
      return bytes;
    },
    async close() {},
  };
}

/**
 * Reads a range into `target`.
 * @returns The number of bytes that came. Some servers send less than was asked for.
 */
async function readRange(file: RemoteFile, size: number, offset: number, target: Uint8Array): Promise<number> {
  const { name } = file;
  const response = await get(file, `bytes=${offset}-${offset + target.length - 1}`);
  // This may be another server of the same name, which does not serve ranges.
  if (response.status === 200) return fill(file, response, offset, target, size);
  const total = contentRange(response)?.total ?? size;
  if (response.status === 206 && total === size) return fill(file, response, offset, target, size);
  await response.body?.cancel();
  if (response.status !== 206) throw refused(name, response);
  throw damaged(name, `a file of ${total} bytes`, `${size}: it was replaced while it was read`, 'Open it again.');
}

function get({ name, options, route }: RemoteFile, range?: string): Promise<Response> {
  const input: RequestInput = range === undefined ? { route } : { route, headers: { Range: range } };
  return request(name, input, options);
}

/**
 * Copies the bytes from `offset` on out of a response, which holds a range or the whole file. It reads no more of the
 * response than is needed.
 * @param size The size of the file, or 0 where it is not known.
 * @returns The number of bytes that came.
 * @throws MambaError with a Transient as its cause where the response was cut.
 */
async function fill(
  { name, options }: RemoteFile,
  response: Response,
  offset: number,
  target: Uint8Array,
  size: number,
): Promise<number> {
  const isWhole = response.status === 200;
  const range = isWhole ? undefined : contentRange(response);
  const start = isWhole ? 0 : (range?.start ?? offset);
  if (start > offset) {
    await response.body?.cancel();
    throw damaged(name, `the bytes from ${start}`, `those from ${offset}, which were asked for`);
  }
  const reader = response.body?.getReader();
  let position = start;
  try {
    while (position < offset + target.length) {
      const piece = (await reader?.read())?.value;
      if (piece === undefined) break;
      const from = Math.max(offset - position, 0);
      if (from < piece.length)
        target.set(piece.subarray(from, offset + target.length - position), position + from - offset);
      position += piece.length;
    }
  } catch (cause) {
    throw unreachable(name, options.signal, cause);
  } finally {
    await reader?.cancel().catch(() => undefined);
  }
  const count = Math.min(Math.max(position - offset, 0), target.length);
  const wanted = Math.min(target.length, Math.max(size - offset, 0));
  const promised = isWhole ? wanted : Math.max(Math.min(range?.end ?? 0, offset + wanted) - offset, 0);
  const least = Math.max(promised, Math.min(wanted, LEAST));
  if (count >= least) return count;
  throw shortReadError(name, count, least, new Transient('the answer is shorter than it should be'));
}

/**
 * Reads a response with the whole file piece by piece, so that a large file of unknown size is refused before it is in
 * memory.
 */
async function readWhole({ name, options }: RemoteFile, response: Response): Promise<Uint8Array> {
  const { maxWhole = 64 * 2 ** 20, signal } = options;
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
    // Only a hint: Content-Length counts compressed bytes where the server compresses, and may be absent.
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

/**
 * The size by a HEAD request. Browsers hide Content-Range across origins unless the server exposes it, but show
 * Content-Length.
 */
async function sizeByHead(file: RemoteFile, first: Uint8Array): Promise<number | undefined> {
  const { name, options, route } = file;
  const response = await request(name, { method: 'HEAD', headers: { 'Accept-Encoding': 'identity' }, route }, options);
  const size = response.ok ? contentLength(response) : undefined;
  return size !== undefined && (await hasSize(file, size, first)) ? size : undefined;
}

/**
 * Whether a file has the size that a Content-Length gives. That may count compressed bytes, and browsers hide the
 * Content-Encoding that would tell.
 */
async function hasSize(file: RemoteFile, size: number, first: Uint8Array): Promise<boolean> {
  if (first.length < FIRST && first.length === size) return true;
  if (first.length > size || size === 0) return false;
  const response = await get(file, `bytes=${size - 1}-${size}`);
  if (response.status !== 206) {
    await response.body?.cancel();
    return false;
  }
  return (await fill(file, response, size - 1, new Uint8Array(2), 0)) === 1;
}

/** The Content-Length; undefined where it is absent or counts compressed bytes. */
function contentLength(response: Response): number | undefined {
  const text = response.headers.get('content-length');
  return text === null || isEncoded(response) || !Number.isSafeInteger(Number(text)) ? undefined : Number(text);
}

function isEncoded(response: Response): boolean {
  return !/^(identity)?$/i.test(response.headers.get('content-encoding')?.trim() ?? '');
}

/** The parts of a Content-Range. `end` is after the last byte. */
interface ContentRange {
  readonly start: number | undefined;
  readonly end: number | undefined;
  readonly total: number | undefined;
}

function contentRange(response: Response): ContentRange | undefined {
  const text = response.headers.get('content-range');
  const match = /^bytes (?:(\d+)-(\d+)|\*)\/(?:(\d+)|\*)$/i.exec(text?.trim() ?? '');
  if (match === null) return undefined;
  const [start, last, total] = match.slice(1).map((digits) => (digits === undefined ? undefined : Number(digits)));
  return { start, end: last === undefined ? undefined : last + 1, total };
}

function refused(name: string, response: Response): MambaError {
  const cause = refusalOf(response);
  return new MambaError('io', `the server did not give ${name}`, {
    origin: name,
    given: statusOf(response),
    expected: 'status 206 with Content-Range, or 200',
    remedy: cause ? 'Give the headers that it wants (Authorization), if it is not public.' : 'Check the address.',
    cause,
  });
}
