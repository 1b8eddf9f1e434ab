import { sizeOf, type TensorSpec } from '../contract/tensor.ts';
import { checkDType, checkInteger } from './check.ts';
import { lastAxis } from './shapes.ts';

/**
 * Copies `[start, end)` of one axis: with x seen as `[outer, extent, inner]`, y is `[outer, end - start, inner]`. x
 * holds activations or int32.
 * @throws MambaError `invalid-argument` on an axis or range that x does not have.
 */
export interface SliceCall<T> {
  readonly x: T;
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  /** Product of the extents before the axis. */
  readonly outer: number;
  /** The extent of the axis in x. */
  readonly extent: number;
  /** Product of the extents after the axis. */
  readonly inner: number;
}

export function resolveSlice<T extends TensorSpec>(
  x: T,
  axis: number,
  start: number,
  end: number,
): { call: SliceCall<T>; outputs: TensorSpec } {
  lastAxis('slice.x', x);
  checkDType('slice.x', x, 'float32', 'float64', 'float16', 'int32');
  checkInteger('slice.axis', axis, 0, x.shape.length - 1);
  const extent = x.shape[axis]!;
  checkInteger('slice.start', start, 0, extent - 1);
  checkInteger('slice.end', end, start + 1, extent);
  return {
    call: {
      x,
      axis,
      start,
      end,
      outer: sizeOf(x.shape.slice(0, axis)),
      extent,
      inner: sizeOf(x.shape.slice(axis + 1)),
    },
    outputs: { shape: x.shape.with(axis, end - start), dtype: x.dtype, range: x.range },
  };
}
