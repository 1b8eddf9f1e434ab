import { isMambaError, type MambaError } from '@mamba/core';
import { damaged, show } from '../errors.ts';
import { leftOutWarning, type WarningListener } from '../warnings.ts';
import type { ByteSource } from './byte-source.ts';
import { findFile } from './find.ts';
import { parseJson } from './json.ts';
import type { CheckpointStore } from './store.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** Largest size in bytes of these files, which hold settings. */
const MAX_BYTES = 2 ** 24;

/**
 * Reads an optional JSON object of a checkpoint; undefined where it is absent, and, with a warning, where it cannot be
 * used.
 */
export function readOptionalObject(
  store: CheckpointStore,
  file: string,
  onWarning: WarningListener,
): Promise<JsonObject | undefined> {
  return readOptional(store, file, onWarning, (source, bytes) => {
    const value = parseJson(source.name, bytes);
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw damaged(source.name, show(value), 'a JSON object');
    return value as JsonObject;
  });
}

/** Reads an optional text in UTF-8 of a checkpoint, as `readOptionalObject` does an object. */
export function readOptionalText(
  store: CheckpointStore,
  file: string,
  onWarning: WarningListener,
): Promise<string | undefined> {
  return readOptional(store, file, onWarning, (source, bytes) => {
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } catch (cause) {
      throw damaged(source.name, 'bytes that are not UTF-8', 'text in UTF-8', undefined, cause);
    }
  });
}

async function readOptional<T>(
  store: CheckpointStore,
  file: string,
  onWarning: WarningListener,
  parse: (source: ByteSource, bytes: Uint8Array) => T,
): Promise<T | undefined> {
  // The return value of the listener is ignored.
  const warn = (reason: unknown): undefined => void onWarning(leftOutWarning(`${store.name}: ${file}`, reason));
  try {
    const { source, reason } = await findFile(store, file);
    if (source === undefined) return reason && warn(reason);
    try {
      if (source.size > MAX_BYTES) throw tooLarge(source);
      return parse(source, await source.read(0, source.size));
    } finally {
      await source.close();
    }
  } catch (error) {
    if (isAbort(error)) throw error;
    return warn(error);
  }
}

function tooLarge({ name, size }: ByteSource): MambaError {
  return damaged(name, `${size} bytes`, `at most ${MAX_BYTES} in such a file`);
}

/** Whether an error is the caller's own abort, which is no fault of a file. */
export function isAbort(error: unknown): boolean {
  return isMambaError(error, 'aborted') || (error instanceof Error && error.name === 'AbortError');
}
