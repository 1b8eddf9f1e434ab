import type { Activation, MultiplyGradients, MultiplyOptions } from '../contract/operations.ts';
import { sizeOf, type TensorSpec } from '../contract/tensor.ts';
import {
  checkActivation,
  checkCotangent,
  checkDType,
  checkExact,
  checkNumber,
  checkOneOf,
  checkOptions,
  like,
} from './check.ts';
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
 * | exp | exp(x) |
 * | sigmoid | 1 / (1 + exp(-x)) |
 * | tanh | (exp(x) - exp(-x)) / (exp(x) + exp(-x)) |
 * | elu-plus-one | x + 1 above 0, and exp(x) below |
 * | reciprocal | 1 / x |
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

const ACTIVATIONS: readonly Activation[] = [
  'none',
  'silu',
  'gelu',
  'gelu-tanh',
  'relu2',
  'exp',
  'sigmoid',
  'tanh',
  'elu-plus-one',
  'reciprocal',
];

/** The largest float32: a larger scale would be infinite on most backends. */
const MAX_SCALE = (2 - 2 ** -23) * 2 ** 127;

export function resolveMultiply<T extends TensorSpec>(
  a: T,
  b?: T | undefined,
  options: MultiplyOptions = {},
  origin = 'multiply',
): { call: MultiplyCall<T>; outputs: TensorSpec } {
  checkOptions(origin, options, ['activation', 'scale']);
  const { activation = 'none', scale = 1 } = options;
  lastAxis(`${origin}.a`, a);
  checkActivation(`${origin}.a`, a);
  if (b !== undefined) {
    checkExact(`${origin}.b`, b, a.shape, 'as a');
    checkDType(`${origin}.b`, b, a.dtype);
  }
  checkOneOf(`${origin}.activation`, activation, ACTIVATIONS);
  checkNumber(`${origin}.scale`, scale, -MAX_SCALE, MAX_SCALE);
  return {
    call: { a, b, activation, scale, size: sizeOf(a.shape) },
    outputs: { shape: a.shape, dtype: a.dtype },
  };
}

/**
 * The gradients of `multiply`'s factors, in its shape:
 *
 *     da = dy scale f'(a) b          db = dy scale f(a), where b is given
 *
 * relu2 has the derivative 2 max(x, 0).
 */
export interface MultiplyBackwardCall<T> extends MultiplyCall<T> {
  readonly dy: T;
}

export function resolveMultiplyBackward<T extends TensorSpec>(
  a: T,
  b: T | undefined,
  options: MultiplyOptions,
  dy: T,
): { call: MultiplyBackwardCall<T>; outputs: MultiplyGradients<TensorSpec> } {
  const origin = 'multiplyBackward';
  const { call, outputs } = resolveMultiply(a, b, options, origin);
  checkCotangent(origin, dy, outputs);
  return { call: { ...call, dy }, outputs: { a: like(a), ...(b && { b: like(b) }) } };
}
