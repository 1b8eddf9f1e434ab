import { isMambaError, type MambaError } from '@mamba/core';
import type { ByteSource } from './byte-source.ts';
import { Refused } from './request.ts';
import type { CheckpointStore } from './store.ts';
import { SNIFF_BYTES, unexpectedContent } from './unexpected-content.ts';

/**
 * A file, or the reason why the store seems to have none; both are undefined where it reports an absent file properly.
 */
export type Found =
  | { readonly source: ByteSource; readonly reason?: undefined }
  | { readonly source: undefined; readonly reason: MambaError | undefined };

/**
 * Opens a file that a store may not have. Not every host answers 404 then: some send a page, and some refuse the file
 * (401, 403) as they would refuse an existing one; the cause of the store's error is Refused in that case. The caller
 * decides whether it can do without the file.
 * @throws MambaError `invalid-file` where a pointer of Git LFS is in its place, and any other error of the store.
 */
export async function findFile(store: CheckpointStore, file: string): Promise<Found> {
  let source: ByteSource | undefined;
  try {
    source = await store.open(file);
  } catch (error) {
    if (isMambaError(error) && error.cause instanceof Refused) return { source: undefined, reason: error };
    throw error;
  }
  if (source === undefined) return { source, reason: undefined };
  try {
    const unexpected = unexpectedContent(source.name, await source.read(0, Math.min(SNIFF_BYTES, source.size)));
    if (unexpected === undefined) return { source };
    if (unexpected.kind === 'pointer') throw unexpected.error;
    await source.close();
    return { source: undefined, reason: unexpected.error };
  } catch (error) {
    await source.close();
    throw error;
  }
}
