import { invalid } from '@mamba/core/toolkit';
import { joinPath, listFiles, openFileIfPresent, recoverFolder } from '#files';
import { damaged, quote } from '../errors.ts';
import { type ByteSource, blobSource } from './byte-source.ts';
import { findFile } from './find.ts';
import { parseJson } from './json.ts';
import { checkAddress } from './request.ts';
import { openUrlIfPresent, type UrlOptions } from './url.ts';

/** Where the files of a checkpoint come from; also for whoever brings a cache or an archive. */
export interface CheckpointStore {
  /** For messages. */
  readonly name: string;
  /** The file, or undefined where the store has none of this name. Names are plain, without folders. */
  open(file: string): Promise<ByteSource | undefined>;
  /** Names of the files, where that can be known: a folder yes, an address no. */
  list?(): Promise<readonly string[]>;
  /**
   * A large file for a look at its beginning, where `open` would fetch the whole of it first; undefined where that
   * would cost nothing.
   */
  peek?(file: string): Promise<ByteSource | undefined>;
}

/** A folder (Node), an http(s) address of a folder, files that a user chose, or a store. */
export type CheckpointLocation = string | URL | readonly File[] | CheckpointStore;

/** @throws MambaError `invalid-argument` where it is none of the kinds. */
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

/** Reads a whole JSON file; undefined where it is absent. @throws MambaError `invalid-file`. */
export async function readJson(store: CheckpointStore, file: string, maxBytes?: number): Promise<unknown> {
  const { source, reason } = await findFile(store, file);
  if (reason !== undefined) throw reason;
  return source && readJsonSource(source, maxBytes);
}

/** The same of an open file, which is closed. */
export async function readJsonSource(source: ByteSource, maxBytes = 2 ** 28): Promise<unknown> {
  try {
    if (source.size > maxBytes)
      throw damaged(source.name, `${source.size} bytes`, `at most ${maxBytes} of JSON in such a file`);
    return parseJson(source.name, await source.read(0, source.size));
  } finally {
    await source.close();
  }
}

/** A file named by another file: refuses whatever could lead out of the folder. */
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
  // A folder that a browser gives has the files of the folders in it as well, which are not the model's.
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
