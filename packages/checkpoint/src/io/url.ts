import { MambaError } from '@mamba/core';
import { allocate, damaged, reasonOf } from '../errors.ts';
import { type ByteSource, bytesSource, checkRange, shortened } from './byte-source.ts';

export interface UrlOptions {
  readonly signal?: AbortSignal | undefined;
  /** Sent with every request, as for authorisation. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Largest file that is read whole where the server does not serve ranges. Default 64 MiB. */
  readonly maxWhole?: number | undefined;
  /** Default: the global fetch. */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/** Asked for first: enough for a small JSON file, or most safetensors headers, in one request. */
const FIRST = 64 * 1024;

/**
 * A file behind http(s), read by ranges.
 * @throws MambaError `invalid-file` where there is none (404), `unavailable` where the network or the server fails, `unsupported`
 * where the server ignores ranges and the file is larger than `maxWhole`, `aborted`.
 */
export async function openUrl(url: string | URL, options: UrlOptions = {}): Promise<ByteSource> {
  const source = await openUrlIfPresent(url, options);
  if (source === undefined) throw damaged(String(url), 'no such file (404)', 'a file', 'Check the address.');
  return source;
}

export async function openUrlIfPresent(url: string | URL, options: UrlOptions = {}): Promise<ByteSource | undefined> {
  const name = String(url);
  const response = await request(name, options, { Range: `bytes=0-${FIRST - 1}` });
  if (response.status === 404 || response.status === 410) {
    await response.body?.cancel();
    return undefined;
  }
  if (response.status === 416 && totalSize(response) === 0) return bytesSource(new Uint8Array(0), name);
  if (response.status === 200) return bytesSource(await readWhole(name, response, options), name);
  if (response.status !== 206) throw refused(name, response);
  const first = await body(name, response, options);
  const size = totalSize(response) ?? (await sizeByHead(name, options));
  if (first.length !== Math.min(FIRST, size)) throw shortened(name, first.length, Math.min(FIRST, size));
  return rangeSource(name, size, first, options);
}

function rangeSource(name: string, size: number, first: Uint8Array, options: UrlOptions): ByteSource {
  return {
    name,
    size,
    async read(offset, length) {
      checkRange(name, offset, length, size);
      if (offset + length <= first.length) return first.subarray(offset, offset + length);
      const response = await request(name, options, { Range: `bytes=${offset}-${offset + length - 1}` });
      if (response.status !== 206) throw refused(name, response);
      const total = totalSize(response);
      if (total !== undefined && total !== size)
        throw damaged(name, `a file of ${total} bytes`, `${size}: it was replaced while it was read`, 'Open it again.');
      const bytes = await body(name, response, options);
      if (bytes.length !== length) throw shortened(name, bytes.length, length);
      return bytes;
    },
    async close() {},
  };
}

async function request(
  name: string,
  { fetch = globalThis.fetch, headers, signal }: UrlOptions,
  extra: Readonly<Record<string, string>>,
  method = 'GET',
): Promise<Response> {
  try {
    return await fetch(name, { method, headers: { ...headers, ...extra }, signal: signal ?? null });
  } catch (cause) {
    throw failure(name, signal, cause);
  }
}

async function body(name: string, response: Response, { signal }: UrlOptions): Promise<Uint8Array> {
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    throw failure(name, signal, cause);
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
    throw failure(name, signal, cause);
  }
}

/** Browsers hide Content-Range across origins unless the server exposes it; Content-Length they show. */
async function sizeByHead(name: string, options: UrlOptions): Promise<number> {
  const response = await request(name, options, {}, 'HEAD');
  const size = Number(response.headers.get('content-length') ?? Number.NaN);
  if (!response.ok || !Number.isSafeInteger(size)) throw refused(name, response);
  return size;
}

function totalSize(response: Response): number | undefined {
  const total = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1];
  return total === undefined ? undefined : Number(total);
}

function refused(name: string, response: Response): MambaError {
  return new MambaError('io', `the server did not give ${name}`, {
    origin: name,
    given: `status ${response.status} ${response.statusText}`.trimEnd(),
    expected: 'status 206 with Content-Range',
  });
}

function failure(name: string, signal: AbortSignal | undefined, cause: unknown): MambaError {
  if (cause instanceof MambaError) return cause;
  if (signal?.aborted) return new MambaError('aborted', `reading ${name} was aborted`, { origin: name, cause });
  return new MambaError('io', `${name} cannot be reached: ${reasonOf(cause)}`, { origin: name, cause });
}
