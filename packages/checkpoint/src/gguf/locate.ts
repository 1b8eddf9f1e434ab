import { damaged, list } from '../errors.ts';
import type { ByteSource } from '../io/byte-source.ts';
import { findFile } from '../io/find.ts';
import { type CheckpointLocation, type CheckpointStore, checkpointStore } from '../io/store.ts';
import type { UrlOptions } from '../io/url.ts';

/**
 * The store of a location, and its GGUF file where that is what it holds: the location itself if it ends in `.gguf`, whose folder is
 * then the store; or the only such file of a store without safetensors.
 * @throws MambaError `invalid-file` where a file is not there, or several could be meant.
 */
export async function locateGguf(
  location: CheckpointLocation,
  options: UrlOptions,
): Promise<{ store: CheckpointStore; gguf: ByteSource | undefined }> {
  const single = fileInFolder(location);
  if (single !== undefined) {
    const store = checkpointStore(single.folder, options);
    const { source: gguf, reason } = await findFile(store, single.file);
    if (gguf === undefined) throw reason ?? damaged(String(location), 'no such file', 'a GGUF file', 'Check the path.');
    return { store, gguf };
  }
  const store = checkpointStore(location, options);
  const names = (await store.list?.()) ?? [];
  const found = names.filter((name) => GGUF.test(name));
  if (found.length === 0 || names.some((name) => SAFETENSORS.includes(name))) return { store, gguf: undefined };
  if (found.length > 1)
    throw damaged(store.name, `the GGUF files ${list(found)}`, 'one', 'Give the path of the one that you mean.');
  const { source: gguf, reason } = await findFile(store, found[0]!);
  if (reason !== undefined) throw reason;
  return { store, gguf };
}

const GGUF = /\.gguf$/i;
const SAFETENSORS = ['model.safetensors', 'model.safetensors.index.json'];

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

/** As it stands where it is no proper encoding. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
