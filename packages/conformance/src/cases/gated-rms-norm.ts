import type { HostTensor, Shape } from '@mamba/core';
import { Random } from '../random.ts';
import { backwardCase } from './backward.ts';
import { type OperationCase, operationCase, ROUNDING } from './case.ts';
import { floats, leadingExtents, normals } from './host.ts';

/** Sizes and options of a case of `gatedRmsNorm` and of its gradients: x `[...rows, channels]`. */
export interface GatedRmsNormCaseOptions {
  /** The leading extents of x, or their product. */
  readonly rows: number | Shape;
  readonly channels: number;
  /** Default: all channels. */
  readonly groupSize?: number | undefined;
  /** Default false. */
  readonly normBeforeGate?: boolean | undefined;
  /** Whether there is a gate. Default true. */
  readonly z?: boolean | undefined;
  /** Default true. */
  readonly weight?: boolean | undefined;
  /** Default: the operation's. */
  readonly eps?: number | undefined;
  /** The standard deviation of x. Default 1. */
  readonly scale?: number | undefined;
  /** The standard deviation of z. Default 1. */
  readonly gateScale?: number | undefined;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
  /** Changes the inputs after they were made, for example to insert a NaN. */
  readonly edit?: ((inputs: Record<string, HostTensor>) => void) | undefined;
}

/** The norm of seeded values. The defaults are those of a Mamba-2 block. */
export function gatedRmsNormCase(options: GatedRmsNormCaseOptions): OperationCase<'gatedRmsNorm'> {
  const { channels, groupSize, normBeforeGate = false, z = true, weight = true, eps, scale = 1, seed = 1 } = options;
  const { gateScale = 1 } = options;
  const leading = leadingExtents(options.rows);
  return operationCase({
    operation: 'gatedRmsNorm',
    optional: true,
    id: `gated-rms-norm/${options.id ?? `r${leading.join('x')}-c${channels}-g${groupSize ?? channels}`}`,
    seed,
    sizes: {
      ...{ rows: leading.join('x'), channels, groupSize: groupSize ?? channels, normBeforeGate, z, weight },
      ...{ eps: eps ?? 'default', scale, gateScale },
    },
    tolerance: ROUNDING,
    build() {
      const random = new Random(seed);
      const all: Record<string, HostTensor> = {
        x: normals(random, [...leading, channels], scale),
        ...(z && { z: normals(random, [...leading, channels], gateScale) }),
        ...(weight && { weight: floats([channels], () => 1 + 0.3 * random.normal()) }),
      };
      options.edit?.(all);
      return Object.fromEntries(Object.entries(all).map(([name, host]) => [name, { host }]));
    },
    arguments: (tensors) => [tensors.x, tensors.z, { weight: tensors.weight, eps, groupSize, normBeforeGate }],
  });
}

/** The gradients of x, z and weight, for a seeded cotangent. */
export function gatedRmsNormBackwardCase(options: GatedRmsNormCaseOptions): OperationCase<'gatedRmsNormBackward'> {
  const { channels, groupSize, normBeforeGate, eps } = options;
  const leading = leadingExtents(options.rows);
  return backwardCase(gatedRmsNormCase(options), {
    operation: 'gatedRmsNormBackward',
    shape: [...leading, channels],
    arguments: ({ x, z, weight, dy }) => [x, z, { weight, eps, groupSize, normBeforeGate }, dy],
  });
}
