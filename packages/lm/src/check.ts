import { checkInteger, invalid } from '@mamba/core/toolkit';

/** @throws MambaError `invalid-argument` */
export function checkAbortSignal(origin: string, signal: AbortSignal): void {
  if (typeof signal?.addEventListener !== 'function') throw invalid(origin, String(signal), 'an AbortSignal');
}

/** Copies ids into an array. @throws MambaError `invalid-argument` unless all are of the vocabulary. */
export function checkIds(origin: string, ids: ArrayLike<number>, vocabSize: number): number[] {
  if (typeof ids !== 'object' || ids === null || !Number.isSafeInteger(ids.length))
    throw invalid(origin, String(ids), 'a list of ids');
  return Array.from(ids, (id) => {
    checkInteger(origin, id, 0, vocabSize - 1);
    return id;
  });
}
