import type { ScanResult } from '@mamba/core';
import type { S4dCall } from '@mamba/core/driver';
import { add, type Complex, complex, multiply, scaled } from '../complex.ts';
import { decayOf, inputScaleOf } from '../s4d-discretization.ts';
import { floats, type Input, integers, newFloats, type Storage } from '../storage.ts';

/**
 * S4D as a recurrence, one channel after the other:
 *
 *     S_t = Abar S_(t-1) + Bbar u_t                S_(t-1) = 0 where resets marks t
 *     y_t = f Re Σ_n C S_t + D u_t                 f = 2 where A is complex, and 1 where it is real
 */
export function s4d(call: S4dCall<Input>): ScanResult<Storage> {
  const { batch, length, dim, state } = call;
  const [u, D] = [floats(call.u), floats(call.D)];
  const y = newFloats(batch * length * dim);
  const lastState = newFloats(batch * sizeOfStates(call));
  for (let b = 0; b < batch; b++) {
    for (let c = 0; c < dim; c++) {
      const system = systemOf(call, c);
      const S = system.map((_, n) => initialStateOf(call, b, c, n));
      for (let t = 0; t < length; t++) {
        const i = (b * length + t) * dim + c;
        let sum = D === undefined ? 0 : D[c]! * u[i]!;
        for (const [n, { Abar, Bbar, fC }] of system.entries()) {
          const before = isReset(call, b, t) ? complex(0) : S[n]!;
          S[n] = add(multiply(Abar, before), scaled(Bbar, u[i]!));
          sum += multiply(fC, S[n]!).re;
        }
        y[i] = sum;
      }
      for (let n = 0; n < state; n++) writeComplex(call, lastState, b * sizeOfStates(call), c, n, S[n]!);
    }
  }
  return { y, lastState };
}

/** One state of a channel, discretised. */
export interface DiscreteState {
  readonly A: Complex;
  /** 1 where B is absent. */
  readonly B: Complex;
  readonly Abar: Complex;
  readonly Bbar: Complex;
  /** f C */
  readonly fC: Complex;
}

/** The states of channel c. */
export function systemOf(call: S4dCall<Input>, c: number): readonly DiscreteState[] {
  const dt = floats(call.dt)[c]!;
  return Array.from({ length: call.state }, (_, n) => {
    const A = complexAt(call, call.A, 0, c, n);
    const B = call.B === undefined ? complex(1) : complexAt(call, call.B, 0, c, n);
    return {
      A,
      B,
      Abar: decayOf(call.discretization, dt, A),
      Bbar: multiply(inputScaleOf(call.discretization, dt, A), B),
      fC: scaled(complexAt(call, call.C, 0, c, n), factorOf(call)),
    };
  });
}

/** f, the number of states that each of the given ones stands for. */
export function factorOf(call: S4dCall<Input>): number {
  return call.complex ? 2 : 1;
}

export function isReset({ resets, length }: S4dCall<Input>, b: number, t: number): boolean {
  return resets !== undefined && integers(resets)[b * length + t] !== 0;
}

export function initialStateOf(call: S4dCall<Input>, b: number, c: number, n: number): Complex {
  const { initialState } = call;
  return initialState === undefined ? complex(0) : complexAt(call, initialState, b * sizeOfStates(call), c, n);
}

/** The number of values that the states of one row take, or A. */
export function sizeOfStates({ complex: planes, dim, state }: S4dCall<Input>): number {
  return (planes ? 2 : 1) * dim * state;
}

/** The number of channel c and state n in a tensor of planes `[2, dim, state]`, or of one plane, from `offset` on. */
export function complexAt(call: S4dCall<Input>, tensor: Input, offset: number, c: number, n: number): Complex {
  const values = floats(tensor);
  const at = offset + c * call.state + n;
  return call.complex ? complex(values[at]!, values[at + call.dim * call.state]!) : complex(values[at]!);
}

/** Writes a number where `complexAt` reads it. */
export function writeComplex(
  call: S4dCall<Input>,
  values: Float64Array,
  offset: number,
  c: number,
  n: number,
  { re, im }: Complex,
): void {
  const at = offset + c * call.state + n;
  values[at] = re;
  if (call.complex) values[at + call.dim * call.state] = im;
}
