import { invalid } from '../contract/errors.ts';
import type {
  Discretization,
  ScanCotangents,
  SelectiveScanGradients,
  SelectiveScanOptions,
  SelectiveScanResult,
} from '../contract/operations.ts';
import type { TensorSpec } from '../contract/tensor.ts';
import {
  checkActivation,
  checkBoolean,
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
 * The selective scan, arXiv 2312.00752 algorithm 2 with equations 2 and 4, as a recurrence over `length` for each
 * channel and state:
 *
 *     d   = deltaSoftplus ? softplus(delta + deltaBias) : delta + deltaBias     softplus(x) = x > 20 ? x : log1p(exp x)
 *     h_t = Abar_t h_(t-1) + Bbar_t u_t                                            h_(t-1) = 0 where resets marks t
 *     y_t = (C_t · h_t + D u_t) * silu(z_t)                                        silu(x) = x / (1 + exp(-x))
 *
 * | discretization | Abar | Bbar |
 * | --- | --- | --- |
 * | `euler` (Mamba's checkpoints) | exp(dA) | d B |
 * | `zoh` (equation 4) | exp(dA) | expm1(dA) / A · B, which is d B where A is 0 |
 * | `bilinear` | (1 + dA/2) / (1 - dA/2) | d B / (1 - dA/2) |
 *
 * | tensor | shape | dtype |
 * | --- | --- | --- |
 * | u, delta, z, y | [batch, length, dim] | the activations' |
 * | A | [dim, state]; negative for a stable system, `-exp(A_log)` of a checkpoint | the parameters' |
 * | B, C | [batch, length, groups, state], or [batch, length, state] for one group | the activations' |
 * | B, C where constant | [dim, state] | the parameters' |
 * | D, deltaBias | [dim] | the parameters' |
 * | initialState, lastState | [batch, dim, state] | the parameters' |
 * | states | [batch, ⌈length / k⌉, dim, state], with a k of the backend's own | the parameters' |
 * | resets | [batch, length] | int32 |
 *
 * Group g serves channels [g dim / groups, (g + 1) dim / groups). Parameters have the activations' dtype, or float32
 * where that is float16. NaN and infinity propagate as IEEE 754 says, with one exception: a backend that splits the
 * length into chunks may return NaN where an infinite state persists. It multiplies the decays of a chunk first, and
 * their product may be 0 or infinite where no single decay is.
 * @throws MambaError `invalid-argument` on a wrong rank, shape, dtype, group count or option.
 */
export interface SelectiveScanCall<T> {
  readonly u: T;
  readonly delta: T;
  readonly A: T;
  readonly B: T;
  readonly C: T;
  readonly D: T | undefined;
  readonly z: T | undefined;
  readonly deltaBias: T | undefined;
  readonly initialState: T | undefined;
  readonly resets: T | undefined;
  readonly deltaSoftplus: boolean;
  readonly discretization: Discretization;
  readonly batch: number;
  readonly length: number;
  readonly dim: number;
  readonly state: number;
  /** Number of groups of B and C; 1 if both are constant. */
  readonly groups: number;
  readonly constantB: boolean;
  readonly constantC: boolean;
  /** Steps from one of `states` to the next, where the result has them, or where the backward call was given them. */
  readonly keptSteps: number | undefined;
}

/** A backend's k of `states` for a call; undefined where it keeps none. */
export type KeptSteps = (call: SelectiveScanCall<TensorSpec>) => number | undefined;

const OPTIONS = [
  'D',
  'z',
  'deltaBias',
  'deltaSoftplus',
  'initialState',
  'resets',
  'discretization',
  'keepStates',
] as const;
const DISCRETIZATIONS: readonly Discretization[] = ['euler', 'zoh', 'bilinear'];

interface ResolvedScan<T> {
  readonly call: SelectiveScanCall<T>;
  readonly outputs: SelectiveScanResult<TensorSpec>;
}

export function resolveSelectiveScan<T extends TensorSpec>(
  u: T,
  delta: T,
  A: T,
  B: T,
  C: T,
  options: SelectiveScanOptions<T> = {},
  keptSteps: KeptSteps = keepsNone,
): ResolvedScan<T> {
  const { call, outputs } = resolveScan('selectiveScan', u, delta, A, B, C, options);
  const steps = options.keepStates ? keptSteps(call) : undefined;
  if (steps === undefined) return { call, outputs };
  return { call: { ...call, keptSteps: steps }, outputs: { ...outputs, states: statesSpec(call, outputs, steps) } };
}

const keepsNone: KeptSteps = () => undefined;

function statesSpec(
  { batch, length, dim, state }: SelectiveScanCall<unknown>,
  { lastState: { dtype } }: SelectiveScanResult<TensorSpec>,
  steps: number,
): TensorSpec {
  return { shape: [batch, Math.ceil(length / steps), dim, state], dtype };
}

function resolveScan<T extends TensorSpec>(
  origin: string,
  u: T,
  delta: T,
  A: T,
  B: T,
  C: T,
  options: SelectiveScanOptions<T>,
): ResolvedScan<T> {
  checkOptions(origin, options, OPTIONS);
  const { D, z, deltaBias, initialState, resets, deltaSoftplus = false, discretization = 'euler' } = options;
  const { keepStates = false } = options;
  checkRank(`${origin}.u`, u, 3, '[batch, length, dim]');
  checkActivation(`${origin}.u`, u);
  const activation = u.dtype;
  const parameter = parameterDType(activation);
  const [batch, length, dim] = u.shape as [number, number, number];

  checkExact(`${origin}.delta`, delta, u.shape, '[batch, length, dim] as u');
  checkDType(`${origin}.delta`, delta, activation);
  checkRank(`${origin}.A`, A, 2, '[dim, state]');
  const state = A.shape[1]!;
  checkExact(`${origin}.A`, A, [dim, state], '[dim, state]');
  checkDType(`${origin}.A`, A, parameter);

  const groupsOfB = checkSelective(`${origin}.B`, B, batch, length, dim, state, activation);
  const groupsOfC = checkSelective(`${origin}.C`, C, batch, length, dim, state, activation);
  if (groupsOfB > 0 && groupsOfC > 0 && groupsOfB !== groupsOfC) {
    throw invalid(`${origin}.C`, describe(C), `the same number of groups as B, ${groupsOfB}`);
  }

  for (const [name, vector] of [
    ['D', D],
    ['deltaBias', deltaBias],
  ] as const) {
    if (vector === undefined) continue;
    checkExact(`${origin}.${name}`, vector, [dim], '[dim]');
    checkDType(`${origin}.${name}`, vector, parameter);
  }
  if (z !== undefined) {
    checkExact(`${origin}.z`, z, u.shape, '[batch, length, dim] as u');
    checkDType(`${origin}.z`, z, activation);
  }
  if (initialState !== undefined) {
    checkExact(`${origin}.initialState`, initialState, [batch, dim, state], '[batch, dim, state]');
    checkDType(`${origin}.initialState`, initialState, parameter);
  }
  if (resets !== undefined) checkIntegers(`${origin}.resets`, resets, [batch, length], '[batch, length]');
  checkBoolean(`${origin}.deltaSoftplus`, deltaSoftplus);
  checkBoolean(`${origin}.keepStates`, keepStates);
  checkOneOf(`${origin}.discretization`, discretization, DISCRETIZATIONS);

  return {
    call: {
      u,
      delta,
      A,
      B,
      C,
      D,
      z,
      deltaBias,
      initialState,
      resets,
      deltaSoftplus,
      discretization,
      batch,
      length,
      dim,
      state,
      groups: Math.max(groupsOfB, groupsOfC, 1),
      constantB: groupsOfB === 0,
      constantC: groupsOfC === 0,
      keptSteps: undefined,
    },
    outputs: {
      y: { shape: [batch, length, dim], dtype: activation },
      lastState: { shape: [batch, dim, state], dtype: parameter },
    },
  };
}

/**
 * The call of `selectiveScan` with the cotangents of its results, and the states that it kept. Each has the shape of
 * its result.
 */
export interface SelectiveScanBackwardCall<T> extends SelectiveScanCall<T> {
  readonly dy: T;
  readonly dLastState: T | undefined;
  readonly states: T | undefined;
}

export function resolveSelectiveScanBackward<T extends TensorSpec>(
  u: T,
  delta: T,
  A: T,
  B: T,
  C: T,
  options: SelectiveScanOptions<T>,
  cotangents: ScanCotangents<T>,
  states?: T | undefined,
  keptSteps: KeptSteps = keepsNone,
): { call: SelectiveScanBackwardCall<T>; outputs: SelectiveScanGradients<TensorSpec> } {
  const origin = 'selectiveScanBackward';
  const { call, outputs } = resolveScan(origin, u, delta, A, B, C, options);
  checkCotangents(origin, cotangents, outputs);
  const steps = states === undefined ? undefined : keptSteps(call);
  if (states !== undefined) {
    const remedy = 'Pass the states of this very call, or none.';
    if (steps === undefined)
      throw invalid(`${origin}.states`, describe(states), 'none, since this backend keeps none for this call', remedy);
    const { shape, dtype } = statesSpec(call, outputs, steps);
    checkExact(`${origin}.states`, states, shape, `as the forward call returned them, of every ${steps} steps`);
    checkDType(`${origin}.states`, states, dtype);
  }
  const { D, z, deltaBias, initialState } = call;
  return {
    call: { ...call, keptSteps: steps, dy: cotangents.y, dLastState: cotangents.lastState, states },
    outputs: {
      u: like(u),
      delta: like(delta),
      A: like(A),
      B: like(B),
      C: like(C),
      ...(D && { D: like(D) }),
      ...(z && { z: like(z) }),
      ...(deltaBias && { deltaBias: like(deltaBias) }),
      ...(initialState && { initialState: like(initialState) }),
    },
  };
}

/** Checks B or C. Returns the number of groups, 0 where it is constant. */
function checkSelective(
  origin: string,
  spec: TensorSpec,
  batch: number,
  length: number,
  dim: number,
  state: number,
  activation: TensorSpec['dtype'],
): number {
  if (spec?.shape?.length === 2) {
    checkExact(origin, spec, [dim, state], 'constant [dim, state]');
    checkDType(origin, spec, parameterDType(activation));
    return 0;
  }
  if (spec?.shape?.length === 3) {
    checkExact(origin, spec, [batch, length, state], '[batch, length, state], one group');
    checkDType(origin, spec, activation);
    return 1;
  }
  checkRank(origin, spec, 4, '[batch, length, groups, state], or 3 without groups, or 2 if constant, [dim, state]');
  const groups = spec.shape[2]!;
  checkExact(origin, spec, [batch, length, groups, state], '[batch, length, groups, state]');
  checkDType(origin, spec, activation);
  if (dim % groups !== 0) throw invalid(origin, `${groups} groups`, `a number of groups that divides dim, ${dim}`);
  return groups;
}
