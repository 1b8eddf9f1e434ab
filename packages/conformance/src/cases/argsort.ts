import type { Shape } from '@mamba/core';
import { Random } from '../random.ts';
import { EXACT, type OperationCase, operationCase } from './case.ts';
import { integers } from './host.ts';

/** Sizes and options of a case of `argsort`: keys of `shape`. */
export interface ArgsortCaseOptions {
  readonly shape: Shape;
  /** Number of different keys; the half of them are below 0. Default 7, so that many are equal. */
  readonly different?: number | undefined;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
}

/** The order of seeded whole numbers, of which many are equal. */
export function argsortCase({ shape, different = 7, id, seed = 1 }: ArgsortCaseOptions): OperationCase<'argsort'> {
  return operationCase({
    operation: 'argsort',
    optional: true,
    id: `argsort/${id ?? `s${shape.join('x')}`}`,
    seed,
    sizes: { shape: shape.join('x'), different },
    tolerance: EXACT,
    build() {
      const random = new Random(seed);
      return { keys: { host: integers(shape, () => random.integer(different) - Math.floor(different / 2)) } };
    },
    arguments: ({ keys }) => [keys],
  });
}
