import { invalid } from '../contract/errors.ts';
import { type IntegerRange, sizeOf, type TensorSpec } from '../contract/tensor.ts';
import { checkDType, checkExact, checkInteger } from './check.ts';
import { lastAxis } from './shapes.ts';

/**
 * Joins tensors of activations or int32 along one axis; all other extents and the dtype agree. With every part seen as
 * `[outer, extent, inner]`, y is `[outer, Σ extents, inner]`.
 * @throws MambaError `invalid-argument` where shapes or dtypes do not agree, or nothing is given.
 */
export interface ConcatCall<T> {
  readonly tensors: readonly T[];
  readonly axis: number;
  /** The extent of the axis in each part. */
  readonly extents: readonly number[];
  readonly outer: number;
  readonly inner: number;
}

export function resolveConcat<T extends TensorSpec>(
  tensors: readonly T[],
  axis: number,
): { call: ConcatCall<T>; outputs: TensorSpec } {
  const first = tensors?.[0];
  if (!Array.isArray(tensors) || first === undefined) throw invalid('concat.tensors', 'nothing', 'at least one tensor');
  lastAxis('concat.tensors[0]', first);
  checkDType('concat.tensors[0]', first, 'float32', 'float64', 'float16', 'int32');
  checkInteger('concat.axis', axis, 0, first.shape.length - 1);
  const extents = tensors.map((tensor: T, index) => {
    const origin = `concat.tensors[${index}]`;
    lastAxis(origin, tensor);
    checkExact(origin, tensor, first.shape.with(axis, tensor.shape[axis] ?? 0), `as the first, but for axis ${axis}`);
    checkDType(origin, tensor, first.dtype);
    return tensor.shape[axis]!;
  });
  const total = extents.reduce((sum, extent) => sum + extent, 0);
  return {
    call: {
      tensors,
      axis,
      extents,
      outer: sizeOf(first.shape.slice(0, axis)),
      inner: sizeOf(first.shape.slice(axis + 1)),
    },
    outputs: { shape: first.shape.with(axis, total), dtype: first.dtype, range: union(tensors) },
  };
}

/** The range of all parts together; undefined if the range of any part is. */
function union(specs: readonly TensorSpec[]): IntegerRange | undefined {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (const { range } of specs) {
    if (range === undefined) return undefined;
    min = Math.min(min, range.min);
    max = Math.max(max, range.max);
  }
  return { min, max };
}
