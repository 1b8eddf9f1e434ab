import type { Shape } from '@mamba/core';
import { Random } from '../random.ts';
import { EXACT, type Inputs, type OperationCase, operationCase } from './case.ts';
import { integers, normals } from './host.ts';

/** Sizes and options of a case of `concat`. */
export interface ConcatCaseOptions {
  /** The shape of each part, except for `axis`. */
  readonly shape: Shape;
  readonly axis: number;
  /** The extent of the axis in each part. */
  readonly extents: readonly number[];
  /** Whether the values are int32. Default false: activations. */
  readonly int32?: boolean | undefined;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
}

/** Seeded tensors that are joined along an axis. */
export function concatCase(options: ConcatCaseOptions): OperationCase<'concat'> {
  const { shape, axis, extents, int32 = false, seed = 1 } = options;
  return operationCase({
    operation: 'concat',
    id: `concat/${options.id ?? `s${shape.join('x')}-axis${axis}-${extents.join('+')}${int32 ? '-int32' : ''}`}`,
    seed,
    sizes: { shape: shape.join('x'), axis, extents: extents.join('+'), int32 },
    tolerance: EXACT,
    build(): Inputs {
      const random = new Random(seed);
      const parts = extents.map((extent) => {
        const part = shape.with(axis, extent);
        return int32 ? integers(part, () => random.bits() | 0) : normals(random, part);
      });
      return Object.fromEntries(parts.map((host, index) => [`part${index}`, { host }]));
    },
    arguments: (tensors) => [extents.map((_, index) => tensors[`part${index}`]), axis],
  });
}
