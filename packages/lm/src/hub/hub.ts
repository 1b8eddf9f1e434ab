import { fileDownloadInfo, HubApiError, listFiles, modelInfo } from '@huggingface/hub';
import { type ByteSource, type CheckpointStore, reasonOf } from '@mamba/checkpoint';
import { invalid, isMambaError, MambaError } from '@mamba/core';
import { environment, repositoryCache } from '#hub-places';
import { checkOptions } from '../check.ts';
import type { Download, HubCache, HubFile } from './cache.ts';

export interface HubOptions {
  /** A branch, tag or commit. Default: what the id says after `@`, or else `main`. */
  readonly revision?: string | undefined;
  /** Default: HF_ENDPOINT, or else https://huggingface.co. */
  readonly endpoint?: string | undefined;
  /** Default: HF_TOKEN. */
  readonly token?: string | undefined;
  /**
   * Where files are kept. In Node a folder, by default that of Hugging Face's own tools (HF_HUB_CACHE, HF_HOME), whose layout it has;
   * in a browser the name of a cache in its cache storage.
   */
  readonly cache?: string | undefined;
  /** Ask nothing of the network. Default: HF_HUB_OFFLINE. Without it, a network that cannot be reached is done without as far as that goes. */
  readonly offline?: boolean | undefined;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Default: the global fetch. */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

export interface DownloadProgress {
  readonly file: string;
  /** Of this file, those of earlier attempts included. */
  readonly bytes: number;
  readonly totalBytes: number;
}

/**
 * A repository as the location of a checkpoint: `owner/name`, `owner/name@revision`, or one GGUF file of it, `owner/name/file.gguf`,
 * with or without `hf:` before it. Files are downloaded when they are opened, into a cache; a download that was cut off goes on where
 * it ended, and every file is checked against the hash that the hub gives. All files are of one commit.
 * @throws MambaError `invalid-argument`; its `open` throws `invalid-file` (no such repository, a damaged file), `unavailable` (offline
 * and not in the cache, no access), `io` (network, disk), `aborted`.
 */
export function hub(id: string, options: HubOptions = {}): CheckpointStore {
  checkOptions('hub', options, KEYS);
  const { repository, revision: named, file } = parseId(id);
  const revision = options.revision ?? named ?? 'main';
  if (!/^[\w.-]+(\/[\w.-]+)*$/.test(revision) || /(^|\/)\.\.?(\/|$)/.test(revision))
    throw invalid('hub.revision', JSON.stringify(revision), 'a branch, tag or commit');
  const repo = new Repository(repository, revision, options);
  return {
    name: repo.name,
    open: (name) => repo.open(name),
    list: async () => (file === undefined ? repo.list() : [file]),
  };
}

const KEYS: readonly (keyof HubOptions)[] = [
  ...(['revision', 'endpoint', 'token', 'cache', 'offline', 'onProgress', 'signal', 'fetch'] as const),
];
const COMMIT = /^[0-9a-f]{40}$/;
/** Without a byte in between; each waits twice as long as the one before. */
const ATTEMPTS = 4;
const FIRST_WAIT = 200;

class Repository {
  readonly name: string;
  readonly #id: string;
  readonly #revision: string;
  readonly #options: HubOptions;
  readonly #cache: HubCache;
  /** Asked for once. */
  #commit: Promise<string> | undefined;
  #files: Promise<ReadonlyMap<string, HubFile>> | undefined;

  constructor(id: string, revision: string, options: HubOptions) {
    const { endpoint = environment.endpoint(), token = environment.token(), offline = environment.offline() } = options;
    if (token && !token.startsWith('hf_')) throw invalid('hub.token', 'another token', "one of the hub's, hf_…");
    this.name = `hf:${id}@${revision}`;
    this.#id = id;
    this.#revision = revision;
    this.#options = { ...options, endpoint: endpoint?.replace(/\/+$/, ''), token: token || undefined, offline };
    this.#cache = repositoryCache(id, options.cache);
  }

  async list(): Promise<readonly string[]> {
    const commit = await this.#resolved();
    try {
      return [...(await this.#listed(commit)).keys()];
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      return this.#cache.list(commit);
    }
  }

  async open(file: string): Promise<ByteSource | undefined> {
    if (!/^[^/\\\0:]+$/.test(file) || file === '.' || file === '..')
      throw new MambaError('invalid-file', `${this.name}: ${JSON.stringify(file)} is not a plain file name`);
    const commit = await this.#resolved();
    const kept = await this.#cache.open(commit, file);
    if (kept !== undefined) return kept;
    if (await this.#cache.isAbsent(commit, file)) return undefined;
    const entry = (await this.#listed(commit, file)).get(file);
    if (entry === undefined) {
      await this.#cache.setAbsent(commit, file);
      return undefined;
    }
    await this.#download(commit, entry);
    return this.#cache.open(commit, file);
  }

  #resolved(): Promise<string> {
    this.#commit ??= this.#resolve();
    this.#commit.catch(() => {
      this.#commit = undefined;
    });
    return this.#commit;
  }

  /** A branch moves; the commit that it last was will do where nobody can be asked. */
  async #resolve(): Promise<string> {
    if (COMMIT.test(this.#revision)) return this.#revision;
    try {
      const { sha } = await this.#ask('its commit', (access) =>
        modelInfo({ name: this.#id, revision: this.#revision, additionalFields: ['sha'], ...access }),
      );
      if (!COMMIT.test(sha)) throw strange(this.name, `the commit ${JSON.stringify(sha)}`);
      await this.#cache.setCommit(this.#revision, sha);
      return sha;
    } catch (error) {
      const known = isUnreachable(error) ? await this.#cache.commitOf(this.#revision) : undefined;
      if (known !== undefined && COMMIT.test(known)) return known;
      throw error;
    }
  }

  #listed(commit: string, file?: string): Promise<ReadonlyMap<string, HubFile>> {
    this.#files ??= this.#ask(file ?? 'its files', async (access) => {
      const files = new Map<string, HubFile>();
      for await (const entry of listFiles({ repo: this.#repo(), revision: commit, ...access })) {
        if (entry.type !== 'file') continue;
        const hash = entry.lfs?.oid.replace(/^sha256:/, '') ?? entry.oid ?? '';
        const size = entry.lfs?.size ?? entry.size;
        if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(hash) || !Number.isSafeInteger(size) || size < 0)
          throw strange(this.name, `${entry.path} of ${size} bytes with the hash ${JSON.stringify(hash)}`);
        files.set(entry.path, { name: entry.path, size, hash });
      }
      return files;
    });
    this.#files.catch(() => {
      this.#files = undefined;
    });
    return this.#files;
  }

  async #download(commit: string, file: HubFile): Promise<void> {
    const { signal, onProgress } = this.#options;
    const download = await this.#cache.download(commit, file);
    try {
      for (let attempt = 1; download.received < file.size; attempt++) {
        const before = download.received;
        try {
          await this.#fetch(commit, file, download);
        } catch (error) {
          if (download.received > before) attempt = 0;
          if (attempt >= ATTEMPTS || signal?.aborted || !isMambaError(error, 'io') || !isUnreachable(error))
            throw error;
          await new Promise((resolve) => setTimeout(resolve, FIRST_WAIT * 2 ** attempt));
        }
      }
      onProgress?.({ file: file.name, bytes: file.size, totalBytes: file.size });
    } catch (error) {
      await download.leave();
      throw error;
    }
    await download.finish();
  }

  /** The rest of a file, as far as it comes. */
  async #fetch(commit: string, file: HubFile, download: Download): Promise<void> {
    const { onProgress, token } = this.#options;
    const { name, size } = file;
    const url = await this.#locate(commit, file);
    await this.#ask(name, async ({ fetch }) => {
      const start = download.received;
      const response = await fetch(url, {
        headers: { Range: `bytes=${start}-`, ...(token !== undefined && { Authorization: `Bearer ${token}` }) },
      });
      if (!response.ok || response.body === null) {
        await response.body?.cancel();
        throw new HubApiError(url, response.status, undefined, `status ${response.status}`);
      }
      // A server without ranges gives the whole of it.
      if (response.status !== 206) await download.restart();
      const first = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1];
      if (response.status === 206 && first !== undefined && Number(first) !== start) {
        await response.body.cancel();
        throw strange(this.name, `${name} from ${first} instead of ${start}`);
      }
      const reader = response.body.getReader();
      try {
        for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
          if (download.received + piece.value.length > size)
            throw strange(this.name, `more of ${name} than its ${size} bytes`);
          await download.write(piece.value);
          onProgress?.({ file: name, bytes: download.received, totalBytes: size });
        }
      } finally {
        await reader.cancel().catch(() => {});
      }
      if (download.received < size) throw new TypeError(`it ended after ${download.received} of ${size} bytes`);
    });
  }

  async #locate(commit: string, { name }: HubFile): Promise<string> {
    const info = await this.#ask(name, (access) =>
      fileDownloadInfo({ repo: this.#repo(), path: name, revision: commit, ...access }),
    );
    if (info === null) throw strange(this.name, `no ${name}, which it lists`);
    return info.url;
  }

  #repo(): { readonly type: 'model'; readonly name: string } {
    return { type: 'model', name: this.#id };
  }

  /** Everything that goes over the network, with its errors made ours. */
  async #ask<T>(what: string, act: (access: Access) => Promise<T>): Promise<T> {
    const { endpoint, token, offline, signal, fetch: given = globalThis.fetch } = this.#options;
    if (offline)
      throw new MambaError('unavailable', `${this.name}: ${what} is not in the cache`, {
        origin: this.name,
        given: 'offline',
        remedy: 'Load it once with a connection.',
        cause: UNREACHABLE,
      });
    const fetch: typeof globalThis.fetch = (input, init) => given(input, { ...init, signal: signal ?? null });
    try {
      return await act({
        fetch,
        ...(endpoint !== undefined && { hubUrl: endpoint }),
        ...(token !== undefined && { accessToken: token }),
      });
    } catch (cause) {
      if (isMambaError(cause)) throw cause;
      if (signal?.aborted)
        throw new MambaError('aborted', `${this.name}: ${what} was aborted`, { origin: this.name, cause });
      throw failure(this.name, what, cause);
    }
  }
}

interface Access {
  readonly fetch: typeof globalThis.fetch;
  readonly hubUrl?: string;
  readonly accessToken?: string;
}

/** Marks an error that came of having no network, rather than of what it said. */
const UNREACHABLE = 'unreachable';

function isUnreachable(error: unknown): boolean {
  if (!isMambaError(error)) return false;
  return error.cause === UNREACHABLE || (error.code === 'io' && error.origin?.startsWith('hf:') === true);
}

function failure(origin: string, what: string, cause: unknown): MambaError {
  const status = cause instanceof HubApiError ? cause.statusCode : undefined;
  if (status === 404 || status === 410)
    return new MambaError('invalid-file', `${origin}: there is no such repository, revision or file`, {
      origin,
      given: `status ${status} for ${what}`,
      remedy: 'Check the name; a private repository wants a token (HF_TOKEN).',
      cause,
    });
  if (status === 401 || status === 403)
    return new MambaError('unavailable', `${origin}: the hub does not give access`, {
      origin,
      given: `status ${status} for ${what}`,
      remedy: 'Give a token (HF_TOKEN) that may read it; the hub says 401 also where there is no such repository.',
      cause,
    });
  return new MambaError('io', `${origin}: ${what} cannot be had: ${reasonOf(cause)}`, {
    origin,
    remedy: 'Check the connection, and try again: what came is kept.',
    cause,
  });
}

function strange(origin: string, given: string): MambaError {
  return new MambaError('invalid-file', `${origin}: the server does not answer as the hub does`, { origin, given });
}

function parseId(id: string): { repository: string; revision: string | undefined; file: string | undefined } {
  const parts = /^(?:hf:)?([\w-][\w.-]*\/[\w-][\w.-]*)(?:@([^@]+?))?(?:\/([^/@]+\.gguf))?$/i.exec(String(id));
  if (parts === null)
    throw invalid('hub.id', JSON.stringify(id), 'owner/name, owner/name@revision, or owner/name/file.gguf');
  return { repository: parts[1]!, revision: parts[2], file: parts[3] };
}
