import type { RmsNormGradients, RmsNormOptions } from '../contract/operations.ts';
import type { TensorSpec } from '../contract/tensor.ts';
import {
  checkActivation,
  checkCotangent,
  checkDType,
  checkExact,
  checkNumber,
  checkOptions,
  like,
  parameterDType,
} from './check.ts';
import { lastAxis } from './shapes.ts';

/**
 * `y = x / sqrt(mean(x²) + eps) * weight` over the last axis: x, y `[…, channels]`, weight `[channels]` or absent (1).
 * @throws MambaError `invalid-argument` on a wrong rank, shape, dtype or option.
 */
export interface RmsNormCall<T> {
  readonly x: T;
  readonly weight: T | undefined;
  readonly eps: number;
  readonly rows: number;
  readonly channels: number;
}

export function resolveRmsNorm<T extends TensorSpec>(
  x: T,
  options: RmsNormOptions<T> = {},
  origin = 'rmsNorm',
): { call: RmsNormCall<T>; outputs: TensorSpec } {
  checkOptions(origin, options, ['weight', 'eps']);
  const { weight, eps = 1e-5 } = options;
  const { rows, channels } = lastAxis(`${origin}.x`, x);
  checkActivation(`${origin}.x`, x);
  if (weight !== undefined) {
    checkExact(`${origin}.weight`, weight, [channels], '[channels]');
    checkDType(`${origin}.weight`, weight, parameterDType(x.dtype));
  }
  checkNumber(`${origin}.eps`, eps, 0, 1);
  return { call: { x, weight, eps, rows, channels }, outputs: { shape: x.shape, dtype: x.dtype } };
}

/**
 * The gradients of `rmsNorm`'s inputs. With r = 1 / sqrt(mean(x²) + eps), n = x r and dn = dy weight:
 *
 *     dx = r (dn - n mean(dn n))          dweight = Σ_rows dy n
 */
export interface RmsNormBackwardCall<T> extends RmsNormCall<T> {
  readonly dy: T;
}

export function resolveRmsNormBackward<T extends TensorSpec>(
  x: T,
  options: RmsNormOptions<T>,
  dy: T,
): { call: RmsNormBackwardCall<T>; outputs: RmsNormGradients<TensorSpec> } {
  const origin = 'rmsNormBackward';
  const { call, outputs } = resolveRmsNorm(x, options, origin);
  checkCotangent(origin, dy, outputs);
  const { weight } = call;
  return { call: { ...call, dy }, outputs: { x: like(x), ...(weight && { weight: like(weight) }) } };
}
