import type { ModelConfig } from '@mamba/core';
import { damaged, list, quote } from '../errors.ts';
import type { ByteSource } from '../io/byte-source.ts';
import { findFile } from '../io/find.ts';
import { isAbort } from '../io/optional.ts';
import { type CheckpointLocation, type CheckpointStore, checkpointStore } from '../io/store.ts';
import type { UrlOptions } from '../io/url.ts';
import { openGguf } from './file.ts';
import { ggufConfig } from './model.ts';
import { ggufParts } from './parts.ts';

export interface LocateOptions extends UrlOptions {
  /** Called with the config of a large file before the whole file is downloaded. */
  readonly checkConfig: (config: ModelConfig) => void | Promise<void>;
}

/**
 * The store of a location, with its GGUF file if it has one: the location itself if it ends in `.gguf`, and then the
 * store is its folder; or the only GGUF file of a store without other weights. A file may be split into parts
 * (`-00001-of-00003.gguf`), and any part then stands for all.
 * @throws MambaError `invalid-file` where a file is missing or ambiguous, and any error that `checkConfig` throws.
 */
export async function locateGguf(
  location: CheckpointLocation,
  options: LocateOptions,
): Promise<{ store: CheckpointStore; gguf: readonly ByteSource[] | undefined }> {
  const single = fileInFolder(location);
  if (single !== undefined) {
    const store = checkpointStore(single.folder, options);
    return { store, gguf: await openParts(store, String(location), ggufParts(single.file) ?? [single.file]) };
  }
  const store = checkpointStore(location, options);
  const names = (await store.list?.()) ?? [];
  if (names.some((name) => WEIGHTS.includes(name))) return { store, gguf: undefined };
  const files = new Map(names.filter((name) => GGUF.test(name)).map(withParts));
  if (files.size === 0) return { store, gguf: undefined };
  if (files.size > 1)
    throw damaged(
      store.name,
      `the GGUF files ${list([...files.keys()])}`,
      'one',
      'Give the path of the one that you mean.',
    );
  const [parts] = files.values();
  await checkConfigEarly(store, parts![0]!, options);
  return { store, gguf: await openParts(store, store.name, parts!) };
}

/** A file with the names of all its parts, under the name of its first part. */
function withParts(name: string): [string, readonly string[]] {
  const parts = ggufParts(name) ?? [name];
  return [parts[0]!, parts];
}

/** Reads the config from the first part of a file. */
async function checkConfigEarly(store: CheckpointStore, name: string, { checkConfig }: LocateOptions): Promise<void> {
  const source = await store.peek?.(name);
  if (source === undefined) return;
  let config: ModelConfig;
  try {
    const file = await openGguf(source);
    config = ggufConfig(file);
    await file.close();
  } catch (error) {
    if (isAbort(error)) throw error;
    // The complete file may be valid; if not, opening it reports the error.
    return;
  }
  await checkConfig(config);
}

async function openParts(
  store: CheckpointStore,
  location: string,
  names: readonly string[],
): Promise<readonly ByteSource[]> {
  const opened: ByteSource[] = [];
  try {
    for (const name of names) {
      const { source, reason } = await findFile(store, name);
      if (source !== undefined) opened.push(source);
      else if (reason !== undefined) throw reason;
      else if (names.length === 1) throw damaged(location, 'no such file', 'a GGUF file', 'Check the path.');
      else
        throw damaged(
          location,
          `no ${quote(name)}`,
          `all ${names.length} parts beside each other`,
          'Fetch the missing one.',
        );
    }
    return opened;
  } catch (error) {
    await Promise.all(opened.map((source) => source.close()));
    throw error;
  }
}

const GGUF = /\.gguf$/i;
const WEIGHTS = ['model.safetensors', 'pytorch_model.bin'].flatMap((name) => [name, `${name}.index.json`]);

function fileInFolder(location: CheckpointLocation): { folder: string | URL; file: string } | undefined {
  if (typeof location === 'string' && /^(https?|file):/i.test(location)) return fileInFolder(new URL(location));
  if (location instanceof URL) {
    if (!GGUF.test(location.pathname)) return undefined;
    const file = decoded(location.pathname.slice(location.pathname.lastIndexOf('/') + 1));
    const folder = new URL('.', location);
    folder.search = location.search;
    return { folder, file };
  }
  if (typeof location !== 'string' || !GGUF.test(location)) return undefined;
  const cut = Math.max(location.lastIndexOf('/'), location.lastIndexOf('\\'));
  const folder = cut < 0 ? '.' : cut === 0 ? '/' : location.slice(0, cut);
  return { folder, file: location.slice(cut + 1) };
}

/** A name with its percent-encoding decoded; unchanged where the encoding is invalid. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
