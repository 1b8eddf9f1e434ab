import { isMambaError, type MambaError } from '@mamba/core';
import type { ByteSource } from './byte-source.ts';
import { Refused } from './request.ts';
import type { CheckpointStore } from './store.ts';
import { SNIFFED, strangeContent } from './strange-content.ts';

/** A file that is there, or is not; the host may have said so in a way of its own, which is the reason then. */
export type Found =
  | { readonly source: ByteSource; readonly reason?: undefined }
  | { readonly source: undefined; readonly reason: MambaError | undefined };

/**
 * Opens a file that a store may not have. Hosts do not all say so by 404: some give a page, or refuse it (401, 403) as
 * they would a file that is there, and the cause of the store's error is Refused then. Which it was is for the caller
 * to decide, who knows whether it can do without.
 * @throws MambaError `invalid-file` where a pointer stands in its place, and what the store throws.
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
    const strange = strangeContent(source.name, await source.read(0, Math.min(SNIFFED, source.size)));
    if (strange === undefined) return { source };
    if (strange.kind === 'pointer') throw strange.error;
    await source.close();
    return { source: undefined, reason: strange.error };
  } catch (error) {
    await source.close();
    throw error;
  }
}
