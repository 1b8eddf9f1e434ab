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

export interface HubOptions {
  /** A branch, tag or commit. Default: what the id says after `@`, or else `main`. */
  readonly revision?: string | undefined;
  /** Default: HF_ENDPOINT, or else https://huggingface.co. */
  readonly endpoint?: string | undefined;
  /**
   * Goes to the endpoint alone. Default in Node: HF_TOKEN, or else the one that Hugging Face's tools stored
   * (HF_TOKEN_PATH, HF_HOME). An empty one is none.
   */
  readonly token?: string | undefined;
  /**
   * Where files are kept. In Node a folder, by default that of Hugging Face's own tools (HF_HUB_CACHE, HF_HOME), whose
   * layout it has; in a browser the name of a cache in its cache storage.
   */
  readonly cache?: string | undefined;
  /**
   * Ask nothing of the network. Default: HF_HUB_OFFLINE. Without it, a network that cannot be reached is done without
   * as far as that goes.
   */
  readonly offline?: boolean | undefined;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Default: the global fetch. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** How it waits before it asks a server or a disk again. Default: a timer. */
  readonly wait?: Wait | undefined;
}

export interface DownloadProgress {
  readonly file: string;
  /** Of this file, those of earlier attempts included. */
  readonly bytes: number;
  readonly totalBytes: number;
}

/**
 * A repository as the location of a checkpoint: `owner/name`, `owner/name@revision`, a folder of it, one GGUF file of
 * it, `owner/name/folder/file.gguf`, or its GGUF file of a quantisation, `owner/name:Q8_0`; with or without `hf:`
 * before it. Files are downloaded when they are opened, into a cache; a download that was cut off goes on where it
 * ended, processes that want the same file wait for one of them, and every file is checked against the hash that the
 * hub gives. All files are of one commit.
 * @throws MambaError `invalid-argument`; its `open` throws `invalid-file` (no such repository, a damaged file),
 * `unavailable` (offline and not in the cache, no access), `io` (network, disk), `aborted`.
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
const ATTEMPTS = 3;
/** Smaller files are fetched as quickly as looked at. */
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
  /** Asked for once. */
  readonly #server = once(() => this.#openServer());
  readonly #commit = once(() => this.#resolve());
  readonly #files = once(async () => askFiles(await this.#online('its files'), await this.#commit(), 'its files'));
  readonly #chosen = once(() => this.#choose());

  constructor(id: HubId, revision: string, options: HubOptions) {
    this.name = `hf:${id.repository}@${revision}`;
    this.#id = id;
    this.#revision = revision;
    // Said at once where it is none.
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
    const kept = await this.#kept(commit, file);
    if (kept !== undefined) return kept;
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

  /** A large file that is not in the cache, where it lies. */
  async peek(name: string): Promise<ByteSource | undefined> {
    const file = await this.#path(name);
    const commit = await this.#commit();
    const kept = await this.#kept(commit, file);
    await kept?.close();
    if (kept !== undefined || this.#offline) return undefined;
    const entry = (await this.#files()).get(file);
    return entry && entry.size >= LARGE ? peekSource(await this.#server(), commit, entry) : undefined;
  }

  /** With its folders. */
  async #path(name: string): Promise<string> {
    if (!/^[^/\\\0:]+$/.test(name) || name === '.' || name === '..')
      throw new MambaError('invalid-file', `${this.name}: ${JSON.stringify(name)} is not a plain file name`);
    return (this.#id.quantization === undefined ? this.#id.folder : (await this.#chosen()).folder) + name;
  }

  /** From the cache. What is damaged there is as good as absent, where it can be fetched again. */
  async #kept(commit: string, file: string): Promise<ByteSource | undefined> {
    try {
      return await this.#cache.open(commit, file);
    } catch (error) {
      if (!isMambaError(error, 'invalid-file') || this.#offline) throw error;
      return undefined;
    }
  }

  /** A branch moves; the commit that it last was will do where nobody can be asked. */
  async #resolve(): Promise<string> {
    if (COMMIT.test(this.#revision)) return this.#revision;
    const known = await this.#cache.commitOf(this.#revision);
    const usable = known !== undefined && COMMIT.test(known);
    if (this.#offline && usable) return known;
    try {
      // Not waited for long where there is another way.
      const sha = await askCommit(await this.#online('its commit'), this.#revision, usable ? 2 : undefined);
      await this.#cache.setCommit(this.#revision, sha);
      return sha;
    } catch (error) {
      if (usable && isUnreachable(error)) return known;
      throw error;
    }
  }

  /** Names of all files, with folders; of those in the cache where nobody can be asked. */
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
   * Whether it is here. If that is forgiven: false where an earlier run left what was damaged, and is gone, or another
   * process was in the way.
   */
  async #attempt(server: HubServer, commit: string, file: HubFile, forgiven: boolean): Promise<boolean> {
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
      if (forgiven && (passing || (resumed && isMambaError(error, 'invalid-file')))) return false;
      throw error;
    }
  }

  /** @throws MambaError `unavailable` where nothing may be asked of it. */
  async #online(what: string): Promise<HubServer> {
    if (!this.#offline) return this.#server();
    throw new MambaError('unavailable', `${this.name}: ${what} is not in the cache`, {
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

/** Asked for again where it failed. */
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
