import type {
  S4dDiscretization,
  S4dGradients,
  S4dOptions,
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
  like,
  parameterDType,
} from './check.ts';

/**
 * S4D (arXiv 2206.11893): a diagonal state space that does not depend on the input, with complex states. For each
 * channel, whose step size is dt:
 *
 *     S_t = Abar S_(t-1) + Bbar u_t                S_(t-1) = 0 where resets marks t
 *     y_t = f Re Σ_n C S_t + D u_t                 f = 2 where A is complex, and 1 where it is real
 *
 * | discretization | Abar | Bbar |
 * | --- | --- | --- |
 * | `zoh` | exp(dt A) | (exp(dt A) - 1) / A · B, which is dt B where A is 0 |
 * | `bilinear` | (1 + dt A/2) / (1 - dt A/2) | dt B / (1 - dt A/2) |
 *
 * A complex state stands for itself and its conjugate, which is what f is for. Complex numbers are two planes along an
 * axis, the real parts and then the imaginary ones. B, C and states are complex where A is.
 *
 * | tensor | shape | dtype |
 * | --- | --- | --- |
 * | u, y | [batch, length, dim] | the activations' |
 * | dt, D | [dim] | the parameters' |
 * | A, B, C | [2, dim, state], or [dim, state] for a real system | the parameters' |
 * | initialState, lastState | [batch, 2, dim, state], or [batch, dim, state] for a real system | the parameters' |
 * | resets | [batch, length] | int32 |
 *
 * Steps are positive and the real parts of A negative for a stable system. The angle of a step, dt times the imaginary
 * part of A, has to stay within ±2^12, which is far beyond what samples of a signal can tell apart. NaN and infinity
 * propagate; an infinite state may become NaN, as complex products make it.
 * @throws MambaError `invalid-argument` on a wrong rank, shape, dtype or option.
 */
export interface S4dCall<T> {
  readonly u: T;
  readonly dt: T;
  readonly A: T;
  /** 1 where it is absent. */
  readonly B: T | undefined;
  readonly C: T;
  readonly D: T | undefined;
  readonly initialState: T | undefined;
  readonly resets: T | undefined;
  readonly discretization: S4dDiscretization;
  readonly complex: boolean;
  readonly batch: number;
  readonly length: number;
  readonly dim: number;
  readonly state: number;
}

export function resolveS4d<T extends TensorSpec>(
  u: T,
  dt: T,
  A: T,
  C: T,
  options: S4dOptions<T> = {},
  origin = 's4d',
): { call: S4dCall<T>; outputs: ScanResult<TensorSpec> } {
  checkOptions(origin, options, ['B', 'D', 'initialState', 'resets', 'discretization']);
  const { B, D, initialState, resets, discretization = 'zoh' } = options;
  checkRank(`${origin}.u`, u, 3, '[batch, length, dim]');
  checkActivation(`${origin}.u`, u);
  const parameter = parameterDType(u.dtype);
  const [batch, length, dim] = u.shape as [number, number, number];

  const complex = A?.shape?.length === 3;
  const form = complex ? '[2, dim, state]' : '[dim, state]';
  if (!complex) checkRank(`${origin}.A`, A, 2, '[dim, state], or 3, [2, dim, state], for complex numbers');
  const state = A.shape.at(-1)!;
  const planes = complex ? [2] : [];
  for (const [name, system] of [
    ['A', A],
    ['B', B],
    ['C', C],
  ] as const) {
    if (name === 'B' && system === undefined) continue;
    checkExact(`${origin}.${name}`, system!, [...planes, dim, state], name === 'A' ? form : `${form}, as A`);
    checkDType(`${origin}.${name}`, system!, parameter);
  }
  for (const [name, vector] of [
    ['dt', dt],
    ['D', D],
  ] as const) {
    if (name === 'D' && vector === undefined) continue;
    checkExact(`${origin}.${name}`, vector!, [dim], '[dim]');
    checkDType(`${origin}.${name}`, vector!, parameter);
  }
  const states = [batch, ...planes, dim, state];
  if (initialState !== undefined) {
    checkExact(`${origin}.initialState`, initialState, states, `[batch, ${form.slice(1)}`);
    checkDType(`${origin}.initialState`, initialState, parameter);
  }
  if (resets !== undefined) checkIntegers(`${origin}.resets`, resets, [batch, length], '[batch, length]');
  checkOneOf(`${origin}.discretization`, discretization, S4D_DISCRETIZATIONS);
  return {
    call: {
      ...{ u, dt, A, B, C, D, initialState, resets, discretization },
      ...{ complex, batch, length, dim, state },
    },
    outputs: {
      y: { shape: [batch, length, dim], dtype: u.dtype },
      lastState: { shape: states, dtype: parameter },
    },
  };
}

const S4D_DISCRETIZATIONS: readonly S4dDiscretization[] = ['zoh', 'bilinear'];

/**
 * The call of `s4d` with the cotangents of its results. Where w = f(v) is complex, the gradient of v is that of w times
 * the conjugate of f'(v), since a gradient holds the derivatives by the real and by the imaginary part.
 */
export interface S4dBackwardCall<T> extends S4dCall<T> {
  readonly dy: T;
  readonly dLastState: T | undefined;
}

export function resolveS4dBackward<T extends TensorSpec>(
  u: T,
  dt: T,
  A: T,
  C: T,
  options: S4dOptions<T>,
  cotangents: ScanCotangents<T>,
): { call: S4dBackwardCall<T>; outputs: S4dGradients<TensorSpec> } {
  const origin = 's4dBackward';
  const { call, outputs } = resolveS4d(u, dt, A, C, options, origin);
  checkCotangents(origin, cotangents, outputs);
  const { B, D, initialState } = call;
  return {
    call: { ...call, dy: cotangents.y, dLastState: cotangents.lastState },
    outputs: {
      u: like(u),
      dt: like(dt),
      A: like(A),
      C: like(C),
      ...(B && { B: like(B) }),
      ...(D && { D: like(D) }),
      ...(initialState && { initialState: like(initialState) }),
    },
  };
}
