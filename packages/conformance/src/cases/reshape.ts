import type { Shape } from '@mamba/core';
import { Random } from '../random.ts';
import { EXACT, type OperationCase, operationCase } from './case.ts';
import { integers, normals } from './host.ts';

/** Sizes and options of a case of `reshape`. */
export interface ReshapeCaseOptions {
  readonly shape: Shape;
  /** The shape of the result. */
  readonly to: Shape;
  /** Whether the values are int32. Default false: activations. */
  readonly int32?: boolean | undefined;
  readonly seed?: number | undefined;
}

/** Seeded values under another shape. */
export function reshapeCase({ shape, to, int32 = false, seed = 1 }: ReshapeCaseOptions): OperationCase<'reshape'> {
  return operationCase({
    operation: 'reshape',
    id: `reshape/s${shape.join('x')}-to-${to.join('x')}${int32 ? '-int32' : ''}`,
    seed,
    sizes: { shape: shape.join('x'), to: to.join('x'), int32 },
    tolerance: EXACT,
    build() {
      const random = new Random(seed);
      return { x: { host: int32 ? integers(shape, () => random.bits() | 0) : normals(random, shape) } };
    },
    arguments: (tensors) => [tensors.x, to],
  });
}
