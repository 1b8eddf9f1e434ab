import type { Shape } from '@mamba/core';
import { Random } from '../random.ts';
import { type OperationCase, operationCase, ROUNDING } from './case.ts';
import { normals } from './host.ts';

/** Sizes and options of a case of `gradientNorm`. */
export interface GradientNormCaseOptions {
  readonly shapes: readonly Shape[];
  /** The standard deviation of the values. Default 1. */
  readonly scale?: number | undefined;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
}

/** The norm of several tensors together. */
export function gradientNormCase(options: GradientNormCaseOptions): OperationCase<'gradientNorm'> {
  const { shapes, scale = 1, seed = 1 } = options;
  const names = shapes.map((shape) => shape.join('x')).join('-');
  return operationCase({
    operation: 'gradientNorm',
    optional: true,
    id: `gradient-norm/${options.id ?? names}`,
    seed,
    sizes: { shapes: names, scale },
    tolerance: ROUNDING,
    build() {
      const random = new Random(seed);
      return Object.fromEntries(
        shapes.map((shape, index) => [`gradient${index}`, { host: normals(random, shape, scale) }]),
      );
    },
    arguments: (tensors) => [shapes.map((_, index) => tensors[`gradient${index}`])],
  });
}
