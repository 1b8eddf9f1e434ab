import { invalid } from '@mamba/core/toolkit';
import { joinPath, listFiles, openFileIfPresent, recoverFolder } from '#files';
import { damaged, quote } from '../errors.ts';
import { type ByteSource, blobSource } from './byte-source.ts';
import { findFile } from './find.ts';
import { parseJson } from './json.ts';
import { checkAddress } from './request.ts';
import { openUrlIfPresent, type UrlOptions } from './url.ts';

/** The files of a checkpoint. Implement it to read from a cache or an archive. */
export interface CheckpointStore {
  /** The name, for messages. */
  readonly name: string;
  /** Opens a file; undefined where the store has no such file. Names are plain, without folders. */
  open(file: string): Promise<ByteSource | undefined>;
  /** Optional. The names of all files. A folder can list them, an address cannot. */
  list?(): Promise<readonly string[]>;
  /**
   * Optional. Opens a large file to read its beginning, where `open` would download the whole file first. Undefined
   * where `open` does not.
   */
  peek?(file: string): Promise<ByteSource | undefined>;
}

/**
 * The location of a checkpoint: a folder (Node), an http(s) address of a folder, files that a user chose, or a store.
 */
export type CheckpointLocation = string | URL | readonly File[] | CheckpointStore;

/**
 * The store of a location.
 * @throws MambaError `invalid-argument` for any other value.
 */
export function checkpointStore(location: CheckpointLocation, options: UrlOptions = {}): CheckpointStore {
  if (typeof location === 'string') {
    if (/^https?:/i.test(location)) return urlStore(location, options);
    if (/^file:/i.test(location)) return directoryStore(new URL(location));
    if (location !== '') return directoryStore(location);
  } else if (location instanceof URL) {
    return location.protocol === 'file:' ? directoryStore(location) : urlStore(location.href, options);
  } else if (Array.isArray(location)) {
    return filesStore(location);
  } else if (typeof (location as CheckpointStore | undefined)?.open === 'function') {
    return location as CheckpointStore;
  }
  throw invalid(
    'openCheckpoint.location',
    typeof location === 'string' ? 'an empty string' : String(location),
    'a folder, an http(s) address, a list of File, or { name, open(file) }',
  );
}

/**
 * Reads a whole JSON file; undefined where it is absent.
 * @throws MambaError `invalid-file` where it is damaged.
 */
export async function readJson(store: CheckpointStore, file: string, maxBytes?: number): Promise<unknown> {
  const { source, reason } = await findFile(store, file);
  if (reason !== undefined) throw reason;
  return source && readJsonSource(source, maxBytes);
}

/** Reads an open JSON file and closes it. */
export async function readJsonSource(source: ByteSource, maxBytes = 2 ** 28): Promise<unknown> {
  try {
    if (source.size > maxBytes)
      throw damaged(source.name, `${source.size} bytes`, `at most ${maxBytes} of JSON in such a file`);
    return parseJson(source.name, await source.read(0, source.size));
  } finally {
    await source.close();
  }
}

/** Checks the name of a file that another file names. Refuses names that could lead out of the folder. */
export function checkFileName(origin: string, name: unknown): asserts name is string {
  const plain = typeof name === 'string' && name !== '' && name !== '.' && name !== '..' && !/[/\\\0:]/.test(name);
  if (!plain)
    throw damaged(
      origin,
      typeof name === 'string' ? quote(name) : typeof name,
      "a plain file name, without folders or '..'",
    );
}

function directoryStore(directory: string | URL): CheckpointStore {
  let recovered: Promise<void> | undefined;
  const there = (): Promise<void> => {
    recovered ??= recoverFolder(directory);
    return recovered;
  };
  return {
    name: String(directory),
    async open(file) {
      checkFileName(String(directory), file);
      await there();
      return openFileIfPresent(joinPath(directory, file));
    },
    async list() {
      await there();
      return listFiles(directory);
    },
  };
}

function urlStore(base: string, options: UrlOptions): CheckpointStore {
  checkAddress(base);
  const folder = new URL(base);
  if (!folder.pathname.endsWith('/')) folder.pathname += '/';
  return {
    name: base,
    async open(file) {
      checkFileName(base, file);
      const url = new URL(encodeURIComponent(file), folder);
      url.search = folder.search;
      return openUrlIfPresent(url, options);
    },
  };
}

function filesStore(files: readonly File[]): CheckpointStore {
  const depth = Math.min(...new Set(files.map(depthOf)));
  // A browser also lists the files of subfolders, which do not belong to the model.
  const byName = new Map(files.filter((file) => depthOf(file) === depth).map((file) => [file.name, file]));
  return {
    name: 'the chosen files',
    async open(name) {
      const file = byName.get(name);
      return file && blobSource(file, name);
    },
    list: async () => [...byName.keys()],
  };
}

function depthOf({ webkitRelativePath }: File): number {
  return webkitRelativePath?.split('/').length ?? 1;
}
