import type { Shape } from '@mamba/core';
import { Random } from '../random.ts';
import { backwardCase } from './backward.ts';
import { type OperationCase, operationCase, ROUNDING } from './case.ts';
import { floats, leadingExtents, normals } from './host.ts';

/** Sizes and options of a case of `rmsNorm` and of its gradients: x `[...rows, channels]`. */
export interface RmsNormCaseOptions {
  /** The leading extents of x, or their product. */
  readonly rows: number | Shape;
  readonly channels: number;
  /** Default true. */
  readonly weight?: boolean | undefined;
  /** Default: the operation's. */
  readonly eps?: number | undefined;
  /** The standard deviation of x. Default 1. */
  readonly scale?: number | undefined;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
}

/** The norm of seeded values. */
export function rmsNormCase(options: RmsNormCaseOptions): OperationCase<'rmsNorm'> {
  const { channels, weight = true, eps, scale = 1, seed = 1 } = options;
  const leading = leadingExtents(options.rows);
  return operationCase({
    operation: 'rmsNorm',
    id: `rms-norm/${options.id ?? `r${leading.join('x')}-c${channels}`}`,
    seed,
    sizes: { rows: leading.join('x'), channels, weight, eps: eps ?? 'default', scale },
    tolerance: ROUNDING,
    build() {
      const random = new Random(seed);
      const x = { host: normals(random, [...leading, channels], scale) };
      return weight ? { x, weight: { host: floats([channels], () => 1 + 0.3 * random.normal()) } } : { x };
    },
    arguments: (tensors) => [tensors.x, { weight: tensors.weight, eps }],
  });
}

/** The gradients of x and weight, for a seeded cotangent. */
export function rmsNormBackwardCase(options: RmsNormCaseOptions): OperationCase<'rmsNormBackward'> {
  const leading = leadingExtents(options.rows);
  return backwardCase(rmsNormCase(options), {
    operation: 'rmsNormBackward',
    shape: [...leading, options.channels],
    arguments: ({ x, weight, dy }) => [x, { weight, eps: options.eps }, dy],
  });
}
