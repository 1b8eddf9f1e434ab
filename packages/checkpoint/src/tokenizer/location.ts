import { type CheckpointLocation, type CheckpointStore, checkpointStore } from '../io/store.ts';
import type { UrlOptions } from '../io/url.ts';

/** The store of a tokenizer's location, which may be its folder or its `tokenizer.json`. */
export function tokenizerStore(location: CheckpointLocation, options: UrlOptions): CheckpointStore {
  if (location instanceof URL) {
    const folder = new URL(location);
    folder.pathname = folder.pathname.replace(FILE, '');
    return checkpointStore(folder, options);
  }
  return checkpointStore(typeof location === 'string' ? location.replace(FILE, '') || '.' : location, options);
}

const FILE = /(^|(?<=[/\\]))tokenizer\.json$/;
