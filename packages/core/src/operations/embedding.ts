import { type Precision, sizeOf, type TensorSpec } from '../contract/tensor.ts';
import { checkCotangent, checkDType, checkIdRange, checkIntegers, checkRank } from './check.ts';

/**
 * Gathers rows: `y[…, :] = table[ids[…], :]`; table `[rows, channels]` in any weight dtype, ids int32 `[…]`, y
 * `[…, channels]` in the backend's precision. An id below 0 stands for a token that could not be chosen (see `argmax`):
 * its row is NaN.
 * @throws MambaError `invalid-argument` on a wrong rank, shape or dtype, and on ids outside the table.
 */
export interface EmbeddingCall<T> {
  readonly table: T;
  readonly ids: T;
  /** Number of ids. */
  readonly count: number;
  readonly rows: number;
  readonly channels: number;
}

export function resolveEmbedding<T extends TensorSpec>(
  table: T,
  ids: T,
  precision: Precision,
  origin = 'embedding',
): { call: EmbeddingCall<T>; outputs: TensorSpec } {
  checkRank(`${origin}.table`, table, 2, '[rows, channels]');
  checkDType(`${origin}.table`, table, precision, 'float16', 'bfloat16', 'q8', 'q4');
  const [rows, channels] = table.shape as [number, number];
  checkIntegers(`${origin}.ids`, ids, ids?.shape ?? [], '[...]');
  checkIdRange(`${origin}.ids`, ids, rows);
  return {
    call: { table, ids, count: sizeOf(ids.shape), rows, channels },
    outputs: { shape: [...ids.shape, channels], dtype: precision },
  };
}

/**
 * The gradient of `embedding`'s table: `dtable[r, :] = Σ dy[i, :]` over the i whose id is r, `[rows, channels]` in the
 * backend's precision. The values of the table are not read, and ids below 0 have no gradient.
 */
export interface EmbeddingBackwardCall<T> extends EmbeddingCall<T> {
  readonly dy: T;
}

export function resolveEmbeddingBackward<T extends TensorSpec>(
  table: T,
  ids: T,
  dy: T,
  precision: Precision,
): { call: EmbeddingBackwardCall<T>; outputs: TensorSpec } {
  const origin = 'embeddingBackward';
  const { call, outputs } = resolveEmbedding(table, ids, precision, origin);
  checkCotangent(origin, dy, outputs);
  return { call: { ...call, dy }, outputs: { shape: table.shape, dtype: precision } };
}
