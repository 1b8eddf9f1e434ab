import type { Shape } from '@mamba/core';
import { Random } from '../random.ts';
import { EXACT, type OperationCase, operationCase } from './case.ts';
import { integers, normals } from './host.ts';

/** Sizes and options of a case of `slice`: `[start, end)` of an axis of `shape`. */
export interface SliceCaseOptions {
  readonly shape: Shape;
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  /** Whether the values are int32. Default false: activations. */
  readonly int32?: boolean | undefined;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
}

/** A copy of a part of seeded values. */
export function sliceCase(options: SliceCaseOptions): OperationCase<'slice'> {
  const { shape, axis, start, end, int32 = false, seed = 1 } = options;
  return operationCase({
    operation: 'slice',
    id: `slice/${options.id ?? `s${shape.join('x')}-axis${axis}-${start}-${end}${int32 ? '-int32' : ''}`}`,
    seed,
    sizes: { shape: shape.join('x'), axis, start, end, int32 },
    tolerance: EXACT,
    build() {
      const random = new Random(seed);
      return { x: { host: int32 ? integers(shape, () => random.bits() | 0) : normals(random, shape) } };
    },
    arguments: (tensors) => [tensors.x, axis, start, end],
  });
}
