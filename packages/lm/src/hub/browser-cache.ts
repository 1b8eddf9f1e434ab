import { type ByteSource, blobSource } from '@mamba/checkpoint';
import { isMambaError, MambaError } from '@mamba/core';
import { sha1 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { holdLock } from './browser-lock.ts';
import type { Download, HubCache, HubFile } from './cache.ts';

/**
 * Bytes of a part. Entries of cache storage cannot be appended to, so that a file is kept in parts, and a download
 * resumes after the last complete one.
 */
const PART = 2 ** 24;

export interface BrowserCacheOptions {
  /** Bytes of a part. Default 16 MiB. */
  readonly part?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A repository in a browser's cache storage. `blobs/<hash>/<part>` holds content, `snapshots/<commit>/<file>` the hash
 * of a file, `refs/<revision>` a commit, and `absent/<commit>/<file>` marks files that the repository does not have.
 */
export function openCache(
  repository: string,
  name: string,
  { part = PART, signal }: BrowserCacheOptions = {},
): HubCache {
  const store = new Entries(repository, name);
  const snapshot = (commit: string, file: string): string => `snapshots/${commit}/${file}`;
  return {
    commitOf: async (revision) => (await store.get(`refs/${revision}`))?.text(),
    setCommit: (revision, commit) => store.put(`refs/${revision}`, commit),
    list: (commit) => store.list(snapshot(commit, '')),
    async open(commit, file) {
      const text = await (await store.get(snapshot(commit, file)))?.text();
      if (text === undefined) return undefined;
      const { size, hash } = JSON.parse(text) as HubFile;
      return openParts(store, { name: file, size, hash }, part);
    },
    isAbsent: async (commit, file) => (await store.get(`absent/${commit}/${file}`)) !== undefined,
    setAbsent: (commit, file) => store.put(`absent/${commit}/${file}`, ''),
    async download(commit, file) {
      const release = await holdLock(`${name}/${repository}/${file.hash}`, signal);
      try {
        return released(await openDownload(store, snapshot(commit, file.name), file, part), release);
      } catch (error) {
        release();
        throw error;
      }
    },
  };
}

/** Releases the lock when the download ends. */
function released(download: Download, release: () => void): Download {
  return {
    get received() {
      return download.received;
    },
    write: download.write,
    restart: download.restart,
    finish: () => download.finish().finally(release),
    leave: () => download.leave().finally(release),
  };
}

async function openParts(store: Entries, file: HubFile, part: number): Promise<ByteSource | undefined> {
  const blobs: Blob[] = [];
  for (let start = 0; start < file.size; start += part) {
    const blob = await store.get(partKey(file, blobs.length));
    // The browser may have evicted a part.
    if (blob?.size !== Math.min(part, file.size - start)) return undefined;
    blobs.push(blob);
  }
  // Only files of one part are hashed again: hashing a large one takes as long as loading it.
  if (blobs.length <= 1 && (await contentHash(store, file, blobs.length)) !== file.hash) return undefined;
  return blobSource(new Blob(blobs), file.name);
}

async function openDownload(store: Entries, link: string, file: HubFile, part: number): Promise<Download> {
  const { size } = file;
  /** The number of stored parts, and of bytes in `buffer`, which collects the next part. */
  let parts = 0;
  let filled = 0;
  let buffer = new Uint8Array(Math.min(part, size));
  while (parts * part < size) {
    const blob = await store.get(partKey(file, parts));
    if (blob?.size !== Math.min(part, size - parts * part)) break;
    parts++;
  }
  const received = (): number => Math.min(parts * part + filled, size);
  const restart = async (): Promise<void> => {
    for (let index = 0; index < parts; index++) await store.delete(partKey(file, index));
    parts = 0;
    filled = 0;
  };
  return {
    get received() {
      return received();
    },
    async write(bytes) {
      for (let done = 0; done < bytes.length; ) {
        const expected = Math.min(part, size - parts * part);
        const taken = bytes.subarray(done, done + expected - filled);
        buffer.set(taken, filled);
        done += taken.length;
        filled += taken.length;
        if (filled < expected) return;
        await store.put(partKey(file, parts), buffer.subarray(0, filled));
        parts++;
        filled = 0;
      }
    },
    restart,
    async finish() {
      buffer = new Uint8Array(0);
      const digest = await contentHash(store, file, parts);
      if (received() !== size || digest !== file.hash) {
        const given = `${received()} bytes with the hash ${digest}`;
        await restart();
        throw new MambaError('invalid-file', `${file.name} came damaged`, {
          origin: file.name,
          given,
          expected: `${size} with ${file.hash}`,
          remedy: 'Try again; it was not kept.',
        });
      }
      await store.put(link, JSON.stringify(file));
    },
    async leave() {
      buffer = new Uint8Array(0);
    },
  };
}

/** Hashes part by part; WebCrypto would need the whole file in memory. */
async function contentHash(store: Entries, file: HubFile, parts: number): Promise<string> {
  const hash =
    file.hash.length === 64 ? sha256.create() : sha1.create().update(new TextEncoder().encode(`blob ${file.size}\0`));
  for (let index = 0; index < parts; index++) {
    const blob = await store.get(partKey(file, index));
    if (blob !== undefined) hash.update(new Uint8Array(await blob.arrayBuffer()));
  }
  return Array.from(hash.digest(), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function partKey({ hash }: HubFile, index: number): string {
  return `blobs/${hash}/${index}`;
}

/** Cache storage as a map. Its keys must be URLs; they are never fetched. */
class Entries {
  readonly #base: string;
  readonly #name: string;
  #cache: Promise<Cache> | undefined;

  constructor(repository: string, name: string) {
    this.#base = `https://hub.invalid/${repository}/`;
    this.#name = name;
  }

  async get(key: string): Promise<Blob | undefined> {
    return this.#attempt(async (cache) => (await cache.match(this.#url(key)))?.blob());
  }

  put(key: string, body: string | Uint8Array<ArrayBuffer>): Promise<void> {
    return this.#attempt((cache) => cache.put(this.#url(key), new Response(body)));
  }

  async delete(key: string): Promise<void> {
    await this.#attempt((cache) => cache.delete(this.#url(key)));
  }

  #url(key: string): string {
    return this.#base + key.split('/').map(encodeURIComponent).join('/');
  }

  async list(prefix: string): Promise<readonly string[]> {
    const requests = await this.#attempt((cache) => cache.keys());
    const start = this.#base + prefix;
    return requests
      .filter(({ url }) => url.startsWith(start))
      .map(({ url }) => decodeURIComponent(url.slice(start.length)));
  }

  async #attempt<T>(act: (cache: Cache) => Promise<T>): Promise<T> {
    if (globalThis.caches === undefined)
      throw new MambaError('unavailable', 'there is no cache storage here', {
        origin: 'hub',
        remedy: 'Serve the page over https, or from localhost.',
      });
    try {
      this.#cache ??= globalThis.caches.open(this.#name);
      return await act(await this.#cache);
    } catch (cause) {
      this.#cache = undefined;
      if (isMambaError(cause)) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new MambaError('io', `the cache of the hub cannot be used: ${reason}`, { origin: this.#name, cause });
    }
  }
}
