import { invalid } from '../contract/errors.ts';
import type { WriteRowsOptions } from '../contract/operations.ts';
import { sizeOf, type TensorSpec } from '../contract/tensor.ts';
import {
  checkActivation,
  checkDType,
  checkExact,
  checkInteger,
  checkIntegers,
  checkOptions,
  describe,
} from './check.ts';
import { lastAxis } from './shapes.ts';

/**
 * Writes `target[b, offset + t] = rows[b, t]` in place: target `[batch, capacity, …]`, rows `[batch, length, …]`. Rows
 * that would lie outside the target are refused, or left out where they are known on the device alone (`offsets` that
 * an operation computed).
 * @throws MambaError `invalid-argument` on a wrong shape, dtype or option, or beyond the target's end.
 */
export interface WriteRowsCall<T> {
  readonly target: T;
  readonly rows: T;
  readonly offsets: T | undefined;
  /** Without meaning where there are `offsets`. */
  readonly offset: number;
  readonly batch: number;
  readonly capacity: number;
  readonly length: number;
  /** Elements of a row. */
  readonly channels: number;
}

export function resolveWriteRows<T extends TensorSpec>(
  target: T,
  rows: T,
  options: WriteRowsOptions<T> = {},
): { call: WriteRowsCall<T>; outputs: undefined } {
  checkOptions('writeRows', options, ['offset', 'offsets']);
  const { offset = 0, offsets } = options;
  lastAxis('writeRows.target', target);
  checkActivation('writeRows.target', target);
  if (target.shape.length < 2)
    throw invalid('writeRows.target', describe(target), 'rank 2 or more, [batch, capacity, …]');
  const [batch, capacity, ...rest] = target.shape as [number, number, ...number[]];
  lastAxis('writeRows.rows', rows);
  const length = rows.shape[1] ?? 0;
  checkExact('writeRows.rows', rows, [batch, length, ...rest], '[batch, length, …] as the target');
  checkDType('writeRows.rows', rows, target.dtype);
  if (offsets === undefined) checkInteger('writeRows.offset', offset, 0, capacity - length);
  else {
    if (options.offset !== undefined)
      throw invalid('writeRows.offsets', 'offset and offsets', 'one of the two', 'Leave offset out.');
    checkIntegers('writeRows.offsets', offsets, [batch], '[batch]');
    const { range } = offsets;
    if (range !== undefined && (range.min < 0 || range.max + length > capacity))
      throw invalid(
        'writeRows.offsets',
        `${length} rows at ${range.min} to ${range.max}`,
        `rows within the target's ${capacity}`,
      );
  }
  return {
    call: { target, rows, offsets, offset, batch, capacity, length, channels: sizeOf(rest) },
    outputs: undefined,
  };
}
