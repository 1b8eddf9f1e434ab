import { invalid } from '../contract/errors.ts';
import type { ScanCotangents, ScanResult, SsdScanGradients, SsdScanOptions } from '../contract/operations.ts';
import type { TensorSpec } from '../contract/tensor.ts';
import {
  checkActivation,
  checkBoolean,
  checkCotangents,
  checkDType,
  checkExact,
  checkInteger,
  checkIntegers,
  checkOptions,
  checkRank,
  describe,
  like,
  parameterDType,
} from './check.ts';

/**
 * The scan of Mamba-2 (state space duality, arXiv 2405.21060, section 6), where all channels of a head share one decay.
 * For each head, with x_t and y_t of `headDim` channels and a state S of `[headDim, state]`:
 *
 *     d   = clamp(dtSoftplus ? softplus(dt + dtBias) : dt + dtBias, dtLimits)   softplus(x) = x > 20 ? x : log1p(exp x)
 *     S_t = exp(d A) S_(t-1) + d x_t B_tᵀ                                       S_(t-1) = 0 where resets marks t
 *     y_t = (S_t C_t + D x_t) * silu(z_t)                                       silu(x) = x / (1 + exp(-x))
 *
 * Over a stretch of steps it is also a product of matrices, `y = (L ∘ C Bᵀ) (d x)` with L the decays from step to step,
 * which is how backends compute long calls. A constant dt makes it retention (arXiv 2307.08621), and A = 0 linear
 * attention without its normaliser.
 *
 * | tensor | shape | dtype |
 * | --- | --- | --- |
 * | x, z, y | [batch, length, heads, headDim], or [batch, length, heads * headDim] | the activations' |
 * | dt | [batch, length, heads] | the activations' |
 * | A | [heads]; negative for a stable system, `-exp(A_log)` of a checkpoint | the parameters' |
 * | B, C | [batch, length, groups, state], or [batch, length, groups * state] | the activations' |
 * | D | [heads], or [heads, headDim] | the parameters' |
 * | dtBias | [heads] | the parameters' |
 * | initialState, lastState | [batch, heads, headDim, state] | the parameters' |
 * | resets | [batch, length] | int32 |
 *
 * Tensors have no views, so heads and groups may be flattened, as a projection leaves them: A tells how many heads
 * there are, and the option `groups` how many groups flattened B and C have (1 by default). Group g serves heads
 * [g heads / groups, (g + 1) heads / groups). Parameters have the activations' dtype, or float32 where that is
 * float16.
 *
 * Memory is linear in length: nothing of the size length × length or length × heads × headDim × state is ever kept. NaN
 * and infinity reach every value that IEEE 754 says. A backend that computes stretches of steps at once may also let
 * them reach other steps of the same head: earlier ones of their stretch, and those behind a reset.
 * @throws MambaError `invalid-argument` on a wrong rank, shape, dtype, group count or option.
 */
export interface SsdScanCall<T> {
  readonly x: T;
  readonly dt: T;
  readonly A: T;
  readonly B: T;
  readonly C: T;
  readonly D: T | undefined;
  readonly z: T | undefined;
  readonly dtBias: T | undefined;
  readonly initialState: T | undefined;
  readonly resets: T | undefined;
  readonly dtSoftplus: boolean;
  /** The least step size; -∞ where there is no limit. */
  readonly dtMin: number;
  /** The largest step size; ∞ where there is no limit. */
  readonly dtMax: number;
  readonly batch: number;
  readonly length: number;
  readonly heads: number;
  readonly headDim: number;
  readonly groups: number;
  readonly state: number;
  /** Whether D is `[heads, headDim]`. */
  readonly wideD: boolean;
}

const OPTIONS = ['D', 'z', 'dtBias', 'dtSoftplus', 'dtLimits', 'groups', 'initialState', 'resets'] as const;

export function resolveSsdScan<T extends TensorSpec>(
  x: T,
  dt: T,
  A: T,
  B: T,
  C: T,
  options: SsdScanOptions<T> = {},
  origin = 'ssdScan',
): { call: SsdScanCall<T>; outputs: ScanResult<TensorSpec> } {
  checkOptions(origin, options, OPTIONS);
  const { D, z, dtBias, initialState, resets, dtSoftplus = false } = options;
  checkRank(`${origin}.A`, A, 1, '[heads]');
  const heads = A.shape[0]!;
  const headDim = headDimOf(`${origin}.x`, x, heads);
  checkActivation(`${origin}.x`, x);
  const activation = x.dtype;
  const parameter = parameterDType(activation);
  checkDType(`${origin}.A`, A, parameter);
  const [batch, length] = x.shape as readonly [number, number];

  checkExact(`${origin}.dt`, dt, [batch, length, heads], '[batch, length, heads]');
  checkDType(`${origin}.dt`, dt, activation);
  const [groups, state] = groupsOf(`${origin}.B`, B, options.groups, origin);
  checkExact(`${origin}.B`, B, [batch, length, ...B.shape.slice(2)], '[batch, length, groups, state]');
  checkDType(`${origin}.B`, B, activation);
  if (heads % groups !== 0)
    throw invalid(`${origin}.B`, `${groups} groups`, `a number of groups that divides the heads, ${heads}`);
  checkExact(`${origin}.C`, C, B.shape, 'as B');
  checkDType(`${origin}.C`, C, activation);

  const wideD = D?.shape?.length === 2;
  if (D !== undefined) {
    checkExact(`${origin}.D`, D, wideD ? [heads, headDim] : [heads], '[heads], or [heads, headDim]');
    checkDType(`${origin}.D`, D, parameter);
  }
  if (dtBias !== undefined) {
    checkExact(`${origin}.dtBias`, dtBias, [heads], '[heads]');
    checkDType(`${origin}.dtBias`, dtBias, parameter);
  }
  if (z !== undefined) {
    checkExact(`${origin}.z`, z, x.shape, 'as x');
    checkDType(`${origin}.z`, z, activation);
  }
  const stateShape = [batch, heads, headDim, state];
  if (initialState !== undefined) {
    checkExact(`${origin}.initialState`, initialState, stateShape, '[batch, heads, headDim, state]');
    checkDType(`${origin}.initialState`, initialState, parameter);
  }
  if (resets !== undefined) checkIntegers(`${origin}.resets`, resets, [batch, length], '[batch, length]');
  checkBoolean(`${origin}.dtSoftplus`, dtSoftplus);
  const [dtMin, dtMax] = limitsOf(`${origin}.dtLimits`, options.dtLimits);

  return {
    call: {
      x,
      dt,
      A,
      B,
      C,
      D,
      z,
      dtBias,
      initialState,
      resets,
      dtSoftplus,
      dtMin,
      dtMax,
      batch,
      length,
      heads,
      headDim,
      groups,
      state,
      wideD,
    },
    outputs: { y: { shape: x.shape, dtype: activation }, lastState: { shape: stateShape, dtype: parameter } },
  };
}

/** The call of `ssdScan` with the cotangents of its results. Every cotangent has the shape of its result. */
export interface SsdScanBackwardCall<T> extends SsdScanCall<T> {
  readonly dy: T;
  readonly dLastState: T | undefined;
}

/** A step size that a limit holds has no gradient; one that is equal to a limit has one, as PyTorch's clamp does. */
export function resolveSsdScanBackward<T extends TensorSpec>(
  x: T,
  dt: T,
  A: T,
  B: T,
  C: T,
  options: SsdScanOptions<T>,
  cotangents: ScanCotangents<T>,
): { call: SsdScanBackwardCall<T>; outputs: SsdScanGradients<TensorSpec> } {
  const origin = 'ssdScanBackward';
  const { call, outputs } = resolveSsdScan(x, dt, A, B, C, options, origin);
  checkCotangents(origin, cotangents, outputs);
  const { D, z, dtBias, initialState } = call;
  return {
    call: { ...call, dy: cotangents.y, dLastState: cotangents.lastState },
    outputs: {
      x: like(x),
      dt: like(dt),
      A: like(A),
      B: like(B),
      C: like(C),
      ...(D && { D: like(D) }),
      ...(z && { z: like(z) }),
      ...(dtBias && { dtBias: like(dtBias) }),
      ...(initialState && { initialState: like(initialState) }),
    },
  };
}

/** Channels of a head of x, `[batch, length, heads, headDim]` or `[batch, length, heads * headDim]`. */
function headDimOf(origin: string, x: TensorSpec, heads: number): number {
  if (x?.shape?.length !== 3) {
    checkRank(origin, x, 4, '[batch, length, heads, headDim], or 3 with flattened heads');
    const [batch, length, , headDim] = x.shape as [number, number, number, number];
    checkExact(origin, x, [batch, length, heads, headDim], `[batch, length, heads, headDim] with A's heads`);
    return headDim;
  }
  const channels = x.shape[2]!;
  if (channels % heads !== 0) throw invalid(origin, describe(x), `channels that A's ${heads} heads share evenly`);
  return channels / heads;
}

/** Groups and states of B. `groups` is an option for flattened groups alone. */
function groupsOf(
  origin: string,
  B: TensorSpec,
  groups: number | undefined,
  operation: string,
): readonly [groups: number, state: number] {
  if (B?.shape?.length !== 3) {
    checkRank(origin, B, 4, '[batch, length, groups, state], or 3 with flattened groups');
    if (groups !== undefined)
      throw invalid(`${operation}.groups`, String(groups), 'no such option where B has an axis of groups');
    return [B.shape[2]!, B.shape[3]!];
  }
  const columns = B.shape[2]!;
  if (groups === undefined) return [1, columns];
  checkInteger(`${operation}.groups`, groups, 1);
  if (columns % groups !== 0) throw invalid(origin, describe(B), `states that ${groups} groups share evenly`);
  return [groups, columns / groups];
}

function limitsOf(
  origin: string,
  limits: readonly [smallest: number, largest: number] | undefined,
): readonly [smallest: number, largest: number] {
  if (limits === undefined) return [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  const given = Array.isArray(limits) ? `[${limits.join(', ')}]` : String(limits);
  if (!Array.isArray(limits) || limits.length !== 2 || limits.some((limit) => typeof limit !== 'number'))
    throw invalid(origin, given, 'two numbers, [smallest, largest]');
  const [smallest, largest] = limits as readonly [number, number];
  if (!(smallest >= 0 && smallest <= largest && smallest < Number.POSITIVE_INFINITY))
    throw invalid(origin, given, 'a finite smallest step size of at least 0, and a largest one that is not below it');
  return [smallest, largest];
}
