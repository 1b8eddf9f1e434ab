import type { Shape } from '@mamba/core';
import { Random } from '../random.ts';
import { type OperationCase, operationCase, type Tolerance } from './case.ts';
import { normals } from './host.ts';

/** Sizes and options of a case of `add`: a and b of `shape`. */
export interface AddCaseOptions {
  readonly shape: Shape;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
}

/** A sum of two seeded tensors. */
export function addCase({ shape, id = `s${shape.join('x')}`, seed = 1 }: AddCaseOptions): OperationCase<'add'> {
  return operationCase({
    operation: 'add',
    id: `add/${id}`,
    seed,
    sizes: { shape: shape.join('x') },
    tolerance: SINGLE_ROUNDING,
    build() {
      const random = new Random(seed);
      return { a: { host: normals(random, shape) }, b: { host: normals(random, shape) } };
    },
    arguments: (tensors) => [tensors.a, tensors.b],
  });
}

const SINGLE_ROUNDING: Tolerance = { relative: 6e-8, reason: 'one rounding: half a unit in the last place, 2^-24' };
