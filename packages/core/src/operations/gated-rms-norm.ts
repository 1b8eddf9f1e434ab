import { invalid } from '../contract/errors.ts';
import type { GatedRmsNormGradients, GatedRmsNormOptions } from '../contract/operations.ts';
import type { TensorSpec } from '../contract/tensor.ts';
import {
  checkActivation,
  checkBoolean,
  checkCotangent,
  checkDType,
  checkExact,
  checkInteger,
  checkNumber,
  checkOptions,
  like,
  parameterDType,
} from './check.ts';
import { lastAxis } from './shapes.ts';

/**
 * The RMS norm of Mamba-2 (arXiv 2405.21060, section 7), over groups of `groupSize` neighbouring channels, with a gate:
 *
 *     y = rms(x silu(z)) weight            rms(v) = v / sqrt(mean_group(v²) + eps)
 *     y = rms(x) weight silu(z)            where normBeforeGate
 *
 * x, z, y `[…, channels]`, weight `[channels]` or absent (1). Without z there is no gate.
 *
 * It is an operation of its own beside `rmsNorm`, so that a backend that has no gate refuses it and does not leave the
 * gate out.
 * @throws MambaError `invalid-argument` on a wrong rank, shape, dtype, group size or option.
 */
export interface GatedRmsNormCall<T> {
  readonly x: T;
  readonly z: T | undefined;
  readonly weight: T | undefined;
  readonly eps: number;
  readonly normBeforeGate: boolean;
  readonly rows: number;
  readonly channels: number;
  readonly groupSize: number;
}

export function resolveGatedRmsNorm<T extends TensorSpec>(
  x: T,
  z?: T | undefined,
  options: GatedRmsNormOptions<T> = {},
  origin = 'gatedRmsNorm',
): { call: GatedRmsNormCall<T>; outputs: TensorSpec } {
  checkOptions(origin, options, ['weight', 'eps', 'groupSize', 'normBeforeGate']);
  const { rows, channels } = lastAxis(`${origin}.x`, x);
  const { weight, eps = 1e-5, groupSize = channels, normBeforeGate = false } = options;
  checkActivation(`${origin}.x`, x);
  if (z !== undefined) {
    checkExact(`${origin}.z`, z, x.shape, 'as x');
    checkDType(`${origin}.z`, z, x.dtype);
  }
  if (weight !== undefined) {
    checkExact(`${origin}.weight`, weight, [channels], '[channels]');
    checkDType(`${origin}.weight`, weight, parameterDType(x.dtype));
  }
  checkNumber(`${origin}.eps`, eps, 0, 1);
  checkInteger(`${origin}.groupSize`, groupSize, 1);
  if (channels % groupSize !== 0)
    throw invalid(`${origin}.groupSize`, String(groupSize), `a divisor of the channels, ${channels}`);
  checkBoolean(`${origin}.normBeforeGate`, normBeforeGate);
  return {
    call: { x, z, weight, eps, normBeforeGate, rows, channels, groupSize },
    outputs: { shape: x.shape, dtype: x.dtype },
  };
}

/**
 * The gradients of `gatedRmsNorm`'s inputs. With s = silu(z), v = x s (or x where normBeforeGate),
 * r = 1 / sqrt(mean(v²) + eps), n = v r and dn = dy weight (times s where normBeforeGate), means over the group:
 *
 *     dv = r (dn - n mean(dn n))       dx = dv s, dz = dv x silu'(z)             (gate first)
 *                                      dx = dv,   dz = dy weight n silu'(z)      (norm first)
 *     dweight = Σ_rows dy n            or Σ_rows dy n s where normBeforeGate
 */
export interface GatedRmsNormBackwardCall<T> extends GatedRmsNormCall<T> {
  readonly dy: T;
}

export function resolveGatedRmsNormBackward<T extends TensorSpec>(
  x: T,
  z: T | undefined,
  options: GatedRmsNormOptions<T>,
  dy: T,
): { call: GatedRmsNormBackwardCall<T>; outputs: GatedRmsNormGradients<TensorSpec> } {
  const origin = 'gatedRmsNormBackward';
  const { call, outputs } = resolveGatedRmsNorm(x, z, options, origin);
  checkCotangent(origin, dy, outputs);
  const { weight } = call;
  return {
    call: { ...call, dy },
    outputs: { x: like(x), ...(z && { z: like(z) }), ...(weight && { weight: like(weight) }) },
  };
}
