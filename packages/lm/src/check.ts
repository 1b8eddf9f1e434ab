import { invalid } from '@mamba/core';

/** Refuses options that do not exist, so that a misspelt one is not silently ignored. */
export function checkOptions(origin: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw invalid(origin, String(options), 'an object of options');
  const unknown = Object.keys(options).find((key) => !known.includes(key));
  if (unknown !== undefined) throw invalid(`${origin}.${unknown}`, 'an unknown option', `one of ${known.join(', ')}`);
}

export function checkInteger(origin: string, value: number, min: number, max = Number.MAX_SAFE_INTEGER): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  throw invalid(origin, String(value), `an integer ${range}`);
}

export function checkNumber(origin: string, value: number, min: number, max: number): void {
  if (!(typeof value === 'number' && value >= min && value <= max))
    throw invalid(origin, String(value), `a number from ${min} to ${max}`);
}

export function checkBoolean(origin: string, value: boolean): void {
  if (typeof value !== 'boolean') throw invalid(origin, String(value), 'true or false');
}

export function checkAbortSignal(origin: string, signal: AbortSignal): void {
  if (typeof signal?.addEventListener !== 'function') throw invalid(origin, String(signal), 'an AbortSignal');
}

/** The ids as a plain array, each of the vocabulary. */
export function checkIds(origin: string, ids: ArrayLike<number>, vocabSize: number): number[] {
  if (typeof ids !== 'object' || ids === null || !Number.isSafeInteger(ids.length))
    throw invalid(origin, String(ids), 'a list of ids');
  return Array.from(ids, (id) => {
    checkInteger(origin, id, 0, vocabSize - 1);
    return id;
  });
}
