import type { Activation, MultiplyOptions } from '../contract/operations.ts';
import { sizeOf, type TensorSpec } from '../contract/tensor.ts';
import { checkActivation, checkDType, checkExact, checkNumber, checkOneOf, checkOptions } from './check.ts';
import { lastAxis } from './shapes.ts';

/**
 * `y = scale * f(a) * b`, element by element: a, b and y of one shape and dtype. Where b is absent, it counts as 1.
 *
 * | activation | f(x) |
 * | --- | --- |
 * | none | x |
 * | silu | x / (1 + exp(-x)) |
 * | gelu | x (1 + erf(x / √2)) / 2 |
 * | gelu-tanh | x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2 |
 * | relu2 | max(x, 0)² |
 *
 * silu and both kinds of gelu are 0 · ∞ at -∞, so they are NaN there, as IEEE 754 says; for very negative finite x they
 * are 0 or nearly so. The factors may be multiplied in any order, so an intermediate product may overflow where two
 * factors are huge.
 * @throws MambaError `invalid-argument` where shapes or dtypes differ, or on a wrong option.
 */
export interface MultiplyCall<T> {
  readonly a: T;
  readonly b: T | undefined;
  readonly activation: Activation;
  readonly scale: number;
  readonly size: number;
}

const ACTIVATIONS: readonly Activation[] = ['none', 'silu', 'gelu', 'gelu-tanh', 'relu2'];

/** The largest float32: a larger scale would be infinite on most backends. */
const MAX_SCALE = (2 - 2 ** -23) * 2 ** 127;

export function resolveMultiply<T extends TensorSpec>(
  a: T,
  b?: T | undefined,
  options: MultiplyOptions = {},
): { call: MultiplyCall<T>; outputs: TensorSpec } {
  checkOptions('multiply', options, ['activation', 'scale']);
  const { activation = 'none', scale = 1 } = options;
  lastAxis('multiply.a', a);
  checkActivation('multiply.a', a);
  if (b !== undefined) {
    checkExact('multiply.b', b, a.shape, 'as a');
    checkDType('multiply.b', b, a.dtype);
  }
  checkOneOf('multiply.activation', activation, ACTIVATIONS);
  checkNumber('multiply.scale', scale, -MAX_SCALE, MAX_SCALE);
  return {
    call: { a, b, activation, scale, size: sizeOf(a.shape) },
    outputs: { shape: a.shape, dtype: a.dtype },
  };
}
