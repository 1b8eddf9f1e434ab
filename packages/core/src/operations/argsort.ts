import type { TensorSpec } from '../contract/tensor.ts';
import { checkDType } from './check.ts';
import { lastAxis } from './shapes.ts';

/**
 * The indices that sort the keys of each row from the smallest to the largest; equal keys keep their order. With rows
 * `[rows, length]`:
 *
 *     keys[r, order[r, 0]] ≤ keys[r, order[r, 1]] ≤ …
 *
 * The indices of an order are its inverse: `argsort(argsort(keys))` is the place of each key.
 * @throws MambaError `invalid-argument` where the keys are no int32.
 */
export interface ArgsortCall<T> {
  readonly keys: T;
  readonly rows: number;
  readonly length: number;
}

export function resolveArgsort<T extends TensorSpec>(keys: T): { call: ArgsortCall<T>; outputs: TensorSpec } {
  const { rows, channels: length } = lastAxis('argsort.keys', keys);
  checkDType('argsort.keys', keys, 'int32');
  return {
    call: { keys, rows, length },
    outputs: { shape: keys.shape, dtype: 'int32', range: { min: 0, max: length - 1 } },
  };
}
