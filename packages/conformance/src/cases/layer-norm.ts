import type { HostTensor, Shape } from '@mamba/core';
import { Random } from '../random.ts';
import { backwardCase } from './backward.ts';
import { type OperationCase, operationCase, ROUNDING } from './case.ts';
import { floats, leadingExtents, normals } from './host.ts';

/** Sizes and options of a case of `layerNorm` and of its gradients: x `[...rows, channels]`. */
export interface LayerNormCaseOptions {
  /** The leading extents of x, or their product. */
  readonly rows: number | Shape;
  readonly channels: number;
  /** Default true. */
  readonly weight?: boolean | undefined;
  /** Default true. */
  readonly bias?: boolean | undefined;
  /** Default: the operation's. */
  readonly eps?: number | undefined;
  /** The standard deviation of x. Default 1. */
  readonly scale?: number | undefined;
  /** The mean of x. Default 0. */
  readonly mean?: number | undefined;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
  /** Changes the inputs after they were made, for example to insert a NaN. */
  readonly edit?: ((inputs: Record<string, HostTensor>) => void) | undefined;
}

/** The norm of seeded values. */
export function layerNormCase(options: LayerNormCaseOptions): OperationCase<'layerNorm'> {
  const { channels, weight = true, bias = true, eps, scale = 1, mean = 0, seed = 1 } = options;
  const leading = leadingExtents(options.rows);
  return operationCase({
    operation: 'layerNorm',
    id: `layer-norm/${options.id ?? `r${leading.join('x')}-c${channels}`}`,
    seed,
    sizes: { rows: leading.join('x'), channels, weight, bias, eps: eps ?? 'default', scale, mean },
    tolerance: ROUNDING,
    build() {
      const random = new Random(seed);
      const all: Record<string, HostTensor> = {
        x: normals(random, [...leading, channels], scale, mean),
        ...(weight && { weight: floats([channels], () => 1 + 0.3 * random.normal()) }),
        ...(bias && { bias: normals(random, [channels], 0.5) }),
      };
      options.edit?.(all);
      return Object.fromEntries(Object.entries(all).map(([name, host]) => [name, { host }]));
    },
    arguments: (tensors) => [tensors.x, { weight: tensors.weight, bias: tensors.bias, eps }],
  });
}

/** The gradients of x, weight and bias, for a seeded cotangent. */
export function layerNormBackwardCase(options: LayerNormCaseOptions): OperationCase<'layerNormBackward'> {
  const leading = leadingExtents(options.rows);
  return backwardCase(layerNormCase(options), {
    operation: 'layerNormBackward',
    shape: [...leading, options.channels],
    arguments: ({ x, weight, bias, dy }) => [x, { weight, bias, eps: options.eps }, dy],
  });
}
