import { type Precision, sizeOf, type TensorSpec } from '../contract/tensor.ts';
import { checkDType, checkIdRange, checkIntegers, checkRank } from './check.ts';

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
): { call: EmbeddingCall<T>; outputs: TensorSpec } {
  checkRank('embedding.table', table, 2, '[rows, channels]');
  checkDType('embedding.table', table, precision, 'float16', 'bfloat16', 'q8', 'q4');
  const [rows, channels] = table.shape as [number, number];
  checkIntegers('embedding.ids', ids, ids?.shape ?? [], '[...]');
  checkIdRange('embedding.ids', ids, rows);
  return {
    call: { table, ids, count: sizeOf(ids.shape), rows, channels },
    outputs: { shape: [...ids.shape, channels], dtype: precision },
  };
}
