import type { LayerNormOptions } from '../contract/operations.ts';
import type { TensorSpec } from '../contract/tensor.ts';
import { checkActivation, checkDType, checkExact, checkNumber, checkOptions, parameterDType } from './check.ts';
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
): { call: LayerNormCall<T>; outputs: TensorSpec } {
  checkOptions('layerNorm', options, ['weight', 'bias', 'eps']);
  const { weight, bias, eps = 1e-5 } = options;
  const { rows, channels } = lastAxis('layerNorm.x', x);
  checkActivation('layerNorm.x', x);
  for (const [name, parameter] of [
    ['weight', weight],
    ['bias', bias],
  ] as const) {
    if (parameter === undefined) continue;
    checkExact(`layerNorm.${name}`, parameter, [channels], '[channels]');
    checkDType(`layerNorm.${name}`, parameter, parameterDType(x.dtype));
  }
  checkNumber('layerNorm.eps', eps, 0, 1);
  return { call: { x, weight, bias, eps, rows, channels }, outputs: { shape: x.shape, dtype: x.dtype } };
}
