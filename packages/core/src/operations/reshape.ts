import { invalid } from '../contract/errors.ts';
import { type Shape, sizeOf, type TensorSpec } from '../contract/tensor.ts';
import { checkDType, checkShape, describe } from './check.ts';
import { lastAxis } from './shapes.ts';
import type { SliceCall } from './slice.ts';

/**
 * Copies a tensor to another shape of as many values, which keep their order: `[batch, length, 6]` to
 * `[batch, length, 2, 3]`. x holds activations or int32. Drivers have no kernel of it: core runs that of
 * `slice` over the whole tensor.
 * @throws MambaError `invalid-argument` where the shape has another number of values.
 */
export type ReshapeCall<T> = SliceCall<T>;

export function resolveReshape<T extends TensorSpec>(
  x: T,
  shape: Shape,
): { call: ReshapeCall<T>; outputs: TensorSpec } {
  lastAxis('reshape.x', x);
  checkDType('reshape.x', x, 'float32', 'float64', 'float16', 'int32');
  checkShape('reshape.shape', shape);
  const size = sizeOf(x.shape);
  const extent = x.shape[0]!;
  if (shape.length < 1 || sizeOf(shape) !== size)
    throw invalid('reshape.shape', `[${shape.join(', ')}]`, `a shape of ${size} values, as ${describe(x)} has`);
  return {
    call: { x, axis: 0, start: 0, end: extent, outer: 1, extent, inner: size / extent },
    outputs: { shape: [...shape], dtype: x.dtype, range: x.range },
  };
}
