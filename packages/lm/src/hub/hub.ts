import { type ByteSource, type CheckpointStore, ggufParts, Transient, type Wait } from '@mamba/checkpoint';
import { invalid, isMambaError, MambaError } from '@mamba/core';
import { checkOptions } from '@mamba/core/toolkit';
import { environment, repositoryCache } from '#hub-places';
import { askCommit, askFiles, COMMIT, type HubServer, isUnreachable } from './api.ts';
import type { HubCache, HubFile } from './cache.ts';
import { chooseGguf } from './choose.ts';
import { fetchFile } from './fetch-file.ts';
import { type HubId, parseId } from './id.ts';
import { peekSource } from './peek.ts';
import { cleanToken } from './token.ts';

/** Where files of the hub come from, and where they are kept. */
export interface HubOptions {
  /** A branch, tag or commit. Default: the revision after `@` in the id, or `main`. */
  readonly revision?: string | undefined;
  /** The address of the hub or a mirror. Default: HF_ENDPOINT, or https://huggingface.co. */
  readonly endpoint?: string | undefined;
  /**
   * An access token; it is sent to the endpoint only. Default in Node: HF_TOKEN, or the token that Hugging Face's tools
   * stored (HF_TOKEN_PATH, HF_HOME). An empty string sends none.
   */
  readonly token?: string | undefined;
  /**
   * The cache. In Node it is a folder in the layout of Hugging Face's own tools, by default theirs (HF_HUB_CACHE,
   * HF_HOME); in a browser it is the name of a cache in cache storage.
   */
  readonly cache?: string | undefined;
  /**
   * Never uses the network. Default: HF_HUB_OFFLINE. Without it, files are taken from the cache as far as possible if
   * the hub cannot be reached.
   */
  readonly offline?: boolean | undefined;
  /** Called while a file is downloaded. */
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Default: the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** Waits before the network or a lock is tried again. Default: a timer. */
  readonly wait?: Wait | undefined;
}

/** How far the download of a file has come. */
export interface DownloadProgress {
  /** The path of the file that is downloaded. */
  readonly file: string;
  /** Bytes of this file received so far, in earlier attempts too. */
  readonly bytes: number;
  readonly totalBytes: number;
}

/**
 * The store of a repository on the Hugging Face hub, as the location of a checkpoint. `id` is one of `owner/name`,
 * `owner/name@revision`, `owner/name/folder`, `owner/name/folder/file.gguf` for one GGUF file, and `owner/name:Q8_0`
 * for the GGUF file of a quantisation, each with or without `hf:`. Files are downloaded into a cache when they are
 * opened, and checked against the hashes of the hub. An interrupted download resumes where it stopped, and only one of
 * several processes downloads a file while the others wait. All files are of one commit.
 * @throws MambaError `invalid-argument`. Opening a file throws `invalid-file` (no such repository, a damaged file),
 * `unavailable` (offline and not cached, no access), `io` (network, disk) or `aborted`.
 */
export function hub(id: string, options: HubOptions = {}): CheckpointStore {
  checkOptions('hub', options, KEYS);
  const parsed = parseId(id);
  const revision = options.revision ?? parsed.revision ?? 'main';
  if (!/^[\w.-]+(\/[\w.-]+)*$/.test(revision) || /(^|\/)\.\.?(\/|$)/.test(revision))
    throw invalid('hub.revision', JSON.stringify(revision), 'a branch, tag or commit');
  const repo = new Repository(parsed, revision, options);
  return {
    name: repo.name,
    open: (name) => repo.open(name),
    list: () => repo.list(),
    peek: (name) => repo.peek(name),
  };
}

const KEYS: readonly (keyof HubOptions)[] = [
  ...(['revision', 'endpoint', 'token', 'cache', 'offline', 'onProgress', 'signal', 'fetch', 'wait'] as const),
];
/** Most downloads of a file, if it arrives damaged or another process interferes. */
const ATTEMPTS = 3;
/** Bytes from which on reading parts of a file over the network is faster than downloading it. */
const LARGE = 2 ** 22;
const ENDPOINT = 'https://huggingface.co';

class Repository {
  readonly name: string;
  readonly #id: HubId;
  readonly #revision: string;
  readonly #options: HubOptions;
  readonly #offline: boolean;
  readonly #endpoint: string;
  readonly #cache: HubCache;
  readonly #server = once(() => this.#openServer());
  readonly #commit = once(() => this.#resolve());
  readonly #files = once(async () => askFiles(await this.#online(), await this.#commit(), 'its files'));
  readonly #chosen = once(() => this.#choose());

  constructor(id: HubId, revision: string, options: HubOptions) {
    this.name = `hf:${id.repository}@${revision}`;
    this.#id = id;
    this.#revision = revision;
    // A malformed token throws at once.
    if (options.token !== undefined) cleanToken(options.token);
    this.#options = options;
    this.#offline = options.offline ?? environment.offline();
    this.#endpoint = checkEndpoint(options.endpoint ?? environment.endpoint() ?? ENDPOINT);
    this.#cache = repositoryCache(id.repository, options.cache, { signal: options.signal, wait: options.wait });
  }

  async list(): Promise<readonly string[]> {
    const { file, quantization } = this.#id;
    if (file !== undefined) return ggufParts(file) ?? [file];
    const { folder, files } =
      quantization === undefined ? { folder: this.#id.folder, files: undefined } : await this.#chosen();
    if (files !== undefined) return files;
    return (await this.#names()).filter((name) => isIn(folder, name)).map((name) => name.slice(folder.length));
  }

  async open(name: string): Promise<ByteSource | undefined> {
    const file = await this.#path(name);
    const commit = await this.#commit();
    const cached = await this.#openCached(commit, file);
    if (cached !== undefined) return cached;
    if (await this.#cache.isAbsent(commit, file)) return undefined;
    await this.#online(file);
    const entry = (await this.#files()).get(file);
    if (entry === undefined) {
      await this.#cache.setAbsent(commit, file);
      return undefined;
    }
    await this.#download(commit, entry);
    return this.#cache.open(commit, file);
  }

  /** A source that reads a large file over the network, if it is not cached; undefined for others. */
  async peek(name: string): Promise<ByteSource | undefined> {
    const file = await this.#path(name);
    const commit = await this.#commit();
    const cached = await this.#openCached(commit, file);
    await cached?.close();
    if (cached !== undefined || this.#offline) return undefined;
    const entry = (await this.#files()).get(file);
    return entry && entry.size >= LARGE ? peekSource(await this.#server(), commit, entry) : undefined;
  }

  /** The path of a file in the repository. */
  async #path(name: string): Promise<string> {
    if (!/^[^/\\\0:]+$/.test(name) || name === '.' || name === '..')
      throw new MambaError('invalid-file', `${this.name}: ${JSON.stringify(name)} is not a plain file name`);
    return (this.#id.quantization === undefined ? this.#id.folder : (await this.#chosen()).folder) + name;
  }

  /** Opens a cached file; undefined if it is not cached, or is damaged and can be downloaded again. */
  async #openCached(commit: string, file: string): Promise<ByteSource | undefined> {
    try {
      return await this.#cache.open(commit, file);
    } catch (error) {
      if (!isMambaError(error, 'invalid-file') || this.#offline) throw error;
      return undefined;
    }
  }

  /** The commit of the revision; the last known one if the hub cannot be reached. */
  async #resolve(): Promise<string> {
    if (COMMIT.test(this.#revision)) return this.#revision;
    const known = await this.#cache.commitOf(this.#revision);
    const usable = known !== undefined && COMMIT.test(known);
    if (this.#offline && usable) return known;
    try {
      // Fewer attempts if the cache knows a commit.
      const sha = await askCommit(await this.#online(), this.#revision, usable ? 2 : undefined);
      await this.#cache.setCommit(this.#revision, sha);
      return sha;
    } catch (error) {
      if (usable && isUnreachable(error)) return known;
      throw error;
    }
  }

  /** Paths of all files; only of cached ones if the hub cannot be reached. */
  async #names(): Promise<readonly string[]> {
    const commit = await this.#commit();
    if (this.#offline) return this.#cache.list(commit);
    try {
      return [...(await this.#files()).keys()];
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      return this.#cache.list(commit);
    }
  }

  /** Finds the GGUF file of the quantisation: its folder, and the names of its parts there. */
  async #choose(): Promise<{ readonly folder: string; readonly files: readonly string[] }> {
    const { folder: below, quantization } = this.#id;
    const names = (await this.#names()).filter((name) => name.startsWith(below));
    const [first, ...others] = chooseGguf(this.name, names, quantization!);
    const folder = first!.slice(0, first!.lastIndexOf('/') + 1);
    return { folder, files: [first!, ...others].map((name) => name.slice(folder.length)) };
  }

  async #download(commit: string, file: HubFile): Promise<void> {
    const server = await this.#online(file.name);
    for (let attempt = 1; !(await this.#attempt(server, commit, file, attempt < ATTEMPTS)); attempt++);
  }

  /**
   * Downloads a file once.
   * @param mayRetry Returns false, instead of throwing, if another process interfered, or if the bytes of an earlier
   * download were damaged, which are discarded then.
   */
  async #attempt(server: HubServer, commit: string, file: HubFile, mayRetry: boolean): Promise<boolean> {
    const { onProgress } = this.#options;
    const download = await this.#cache.download(commit, file);
    const resumed = download.received > 0;
    const report = (): void => onProgress?.({ file: file.name, bytes: download.received, totalBytes: file.size });
    try {
      await fetchFile(server, commit, file, download, report);
      report();
    } catch (error) {
      await download.leave();
      throw error;
    }
    try {
      await download.finish();
      return true;
    } catch (error) {
      const passing = isMambaError(error) && error.cause instanceof Transient;
      if (mayRetry && (passing || (resumed && isMambaError(error, 'invalid-file')))) return false;
      throw error;
    }
  }

  /** @param what What is requested, in words. @throws MambaError `unavailable` if offline. */
  async #online(what = ''): Promise<HubServer> {
    if (!this.#offline) return this.#server();
    throw new MambaError('unavailable', `${this.name}${what && `: ${what}`} is not in the cache`, {
      ...{ origin: this.name, given: 'offline' },
      remedy: 'Load it once with a connection.',
    });
  }

  async #openServer(): Promise<HubServer> {
    const { token = await environment.token(), signal, fetch, wait } = this.#options;
    const clean = token && cleanToken(token);
    return {
      ...{ endpoint: this.#endpoint, repository: this.#id.repository, name: this.name, signal, fetch, wait },
      ...(clean && { headers: { Authorization: `Bearer ${clean}` } }),
    };
  }
}

function isIn(folder: string, name: string): boolean {
  return name.startsWith(folder) && !name.slice(folder.length).includes('/');
}

function checkEndpoint(text: string): string {
  const endpoint = text.trim().replace(/\/+$/, '');
  if (!URL.canParse(endpoint) || !/^https?:/i.test(endpoint))
    throw invalid('hub.endpoint', JSON.stringify(text), 'an http(s) address, such as https://huggingface.co');
  const { username, password, host } = new URL(endpoint);
  if (username !== '' || password !== '')
    throw invalid('hub.endpoint', `one of ${host} with a user or a password`, 'an address without them');
  return endpoint;
}

/** Calls `act` once and shares its result; calls it again after a failure. */
function once<T>(act: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= act().catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}
