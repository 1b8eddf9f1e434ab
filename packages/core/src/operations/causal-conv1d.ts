import { invalid } from '../contract/errors.ts';
import type {
  CausalConv1dGradients,
  CausalConv1dOptions,
  ConvActivation,
  ScanCotangents,
  ScanResult,
} from '../contract/operations.ts';
import type { TensorSpec } from '../contract/tensor.ts';
import {
  checkActivation,
  checkCotangents,
  checkDType,
  checkExact,
  checkIntegers,
  checkOneOf,
  checkOptions,
  checkRank,
  describe,
  like,
  parameterDType,
} from './check.ts';

/**
 * Depthwise causal convolution over length, the short convolution of Mamba's block (arXiv 2312.00752 figure 3):
 *
 *     y[b, t, d] = activation(bias[d] + Σ_k weight[d, k] x[b, t - (width - 1) + k, d])       k = 0 … width - 1
 *
 * where x before the first step is `initialState` (newest last), zero if absent, and x before the last reset at or
 * before t is zero. `lastState` holds the last width - 1 inputs, newest last, as the next call takes them: inputs
 * before a reset are zero.
 *
 * | tensor | shape | dtype |
 * | --- | --- | --- |
 * | x, y | [batch, length, dim] | the activations' |
 * | weight | [dim, width], width at least 2 | the parameters' |
 * | bias | [dim] | the parameters' |
 * | initialState, lastState | [batch, dim, width - 1] | the parameters' |
 * | resets | [batch, length] | int32 |
 * @throws MambaError `invalid-argument` on a wrong rank, shape, dtype or option.
 */
export interface CausalConv1dCall<T> {
  readonly x: T;
  readonly weight: T;
  readonly bias: T | undefined;
  readonly initialState: T | undefined;
  readonly resets: T | undefined;
  readonly activation: ConvActivation;
  readonly batch: number;
  readonly length: number;
  readonly dim: number;
  readonly width: number;
}

export function resolveCausalConv1d<T extends TensorSpec>(
  x: T,
  weight: T,
  bias: T | undefined,
  options: CausalConv1dOptions<T> = {},
  origin = 'causalConv1d',
): { call: CausalConv1dCall<T>; outputs: ScanResult<TensorSpec> } {
  checkOptions(origin, options, ['activation', 'initialState', 'resets']);
  const { activation = 'none', initialState, resets } = options;
  checkRank(`${origin}.x`, x, 3, '[batch, length, dim]');
  checkActivation(`${origin}.x`, x);
  const parameter = parameterDType(x.dtype);
  const [batch, length, dim] = x.shape as [number, number, number];
  checkRank(`${origin}.weight`, weight, 2, '[dim, width]');
  const width = weight.shape[1]!;
  checkExact(`${origin}.weight`, weight, [dim, width], '[dim, width]');
  checkDType(`${origin}.weight`, weight, parameter);
  if (width < 2) throw invalid(`${origin}.weight`, describe(weight), 'a width of at least 2');
  if (bias !== undefined) {
    checkExact(`${origin}.bias`, bias, [dim], '[dim]');
    checkDType(`${origin}.bias`, bias, parameter);
  }
  if (initialState !== undefined) {
    checkExact(`${origin}.initialState`, initialState, [batch, dim, width - 1], '[batch, dim, width - 1]');
    checkDType(`${origin}.initialState`, initialState, parameter);
  }
  if (resets !== undefined) checkIntegers(`${origin}.resets`, resets, [batch, length], '[batch, length]');
  checkOneOf(`${origin}.activation`, activation, ['none', 'silu'] satisfies ConvActivation[]);
  return {
    call: { x, weight, bias, initialState, resets, activation, batch, length, dim, width },
    outputs: {
      y: { shape: [batch, length, dim], dtype: x.dtype },
      lastState: { shape: [batch, dim, width - 1], dtype: parameter },
    },
  };
}

/** The call of `causalConv1d` with the cotangents of its results. Each has the shape of its result. */
export interface CausalConv1dBackwardCall<T> extends CausalConv1dCall<T> {
  readonly dy: T;
  readonly dLastState: T | undefined;
}

export function resolveCausalConv1dBackward<T extends TensorSpec>(
  x: T,
  weight: T,
  bias: T | undefined,
  options: CausalConv1dOptions<T>,
  cotangents: ScanCotangents<T>,
): { call: CausalConv1dBackwardCall<T>; outputs: CausalConv1dGradients<TensorSpec> } {
  const origin = 'causalConv1dBackward';
  const { call, outputs } = resolveCausalConv1d(x, weight, bias, options, origin);
  checkCotangents(origin, cotangents, outputs);
  return {
    call: { ...call, dy: cotangents.y, dLastState: cotangents.lastState },
    outputs: {
      x: like(x),
      weight: like(weight),
      ...(bias && { bias: like(bias) }),
      ...(call.initialState && { initialState: like(call.initialState) }),
    },
  };
}
