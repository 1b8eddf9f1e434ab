import type { RmsNormOptions } from '../contract/operations.ts';
import type { TensorSpec } from '../contract/tensor.ts';
import { checkActivation, checkDType, checkExact, checkNumber, checkOptions, parameterDType } from './check.ts';
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
): { call: RmsNormCall<T>; outputs: TensorSpec } {
  checkOptions('rmsNorm', options, ['weight', 'eps']);
  const { weight, eps = 1e-5 } = options;
  const { rows, channels } = lastAxis('rmsNorm.x', x);
  checkActivation('rmsNorm.x', x);
  if (weight !== undefined) {
    checkExact('rmsNorm.weight', weight, [channels], '[channels]');
    checkDType('rmsNorm.weight', weight, parameterDType(x.dtype));
  }
  checkNumber('rmsNorm.eps', eps, 0, 1);
  return { call: { x, weight, eps, rows, channels }, outputs: { shape: x.shape, dtype: x.dtype } };
}
