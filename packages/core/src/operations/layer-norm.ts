import type { LayerNormGradients, LayerNormOptions } from '../contract/operations.ts';
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
 * `y = (x - mean(x)) / sqrt(mean((x - mean(x))²) + eps) * weight + bias` over the last axis: x, y `[…, channels]`,
 * weight and bias `[channels]` or absent (1 and 0). The variance is the biased one, computed from the differences, so
 * that it is right also where the mean is far larger than the deviation.
 * @throws MambaError `invalid-argument` on a wrong rank, shape, dtype or option.
 */
export interface LayerNormCall<T> {
  readonly x: T;
  readonly weight: T | undefined;
  readonly bias: T | undefined;
  readonly eps: number;
  readonly rows: number;
  readonly channels: number;
}

export function resolveLayerNorm<T extends TensorSpec>(
  x: T,
  options: LayerNormOptions<T> = {},
  origin = 'layerNorm',
): { call: LayerNormCall<T>; outputs: TensorSpec } {
  checkOptions(origin, options, ['weight', 'bias', 'eps']);
  const { weight, bias, eps = 1e-5 } = options;
  const { rows, channels } = lastAxis(`${origin}.x`, x);
  checkActivation(`${origin}.x`, x);
  for (const [name, parameter] of [
    ['weight', weight],
    ['bias', bias],
  ] as const) {
    if (parameter === undefined) continue;
    checkExact(`${origin}.${name}`, parameter, [channels], '[channels]');
    checkDType(`${origin}.${name}`, parameter, parameterDType(x.dtype));
  }
  checkNumber(`${origin}.eps`, eps, 0, 1);
  return { call: { x, weight, bias, eps, rows, channels }, outputs: { shape: x.shape, dtype: x.dtype } };
}

/**
 * The gradients of `layerNorm`'s inputs. With r = 1 / sqrt(variance + eps), n = (x - mean(x)) r and dn = dy weight:
 *
 *     dx = r (dn - mean(dn) - n mean(dn n))          dweight = Σ_rows dy n          dbias = Σ_rows dy
 */
export interface LayerNormBackwardCall<T> extends LayerNormCall<T> {
  readonly dy: T;
}

export function resolveLayerNormBackward<T extends TensorSpec>(
  x: T,
  options: LayerNormOptions<T>,
  dy: T,
): { call: LayerNormBackwardCall<T>; outputs: LayerNormGradients<TensorSpec> } {
  const origin = 'layerNormBackward';
  const { call, outputs } = resolveLayerNorm(x, options, origin);
  checkCotangent(origin, dy, outputs);
  const { weight, bias } = call;
  return {
    call: { ...call, dy },
    outputs: { x: like(x), ...(weight && { weight: like(weight) }), ...(bias && { bias: like(bias) }) },
  };
}
