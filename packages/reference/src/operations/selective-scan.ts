import type { ScanResult } from '@mamba/core';
import type { SelectiveScanCall } from '@mamba/core/driver';
import { decay, inputScale } from '../discretization.ts';
import { silu, softplus } from '../scalar.ts';
import { floats, type Input, integers, newFloats, type Storage } from '../storage.ts';

/**
 * The selective scan as the recurrence of arXiv 2312.00752, equation 2 with the discretisation of equation 4 (or euler,
 * bilinear),
 * one channel after the other:
 *
 *     d   = deltaSoftplus ? softplus(delta + deltaBias) : delta + deltaBias
 *     h_t = Abar_t h_(t-1) + Bbar_t u_t           h_(t-1) = 0 where resets marks t
 *     y_t = (C_t · h_t + D u_t) * silu(z_t)
 */
export function selectiveScan(call: SelectiveScanCall<Input>): ScanResult<Storage> {
  const { batch, length, dim, state, discretization } = call;
  const [u, A, B, C] = [floats(call.u), floats(call.A), floats(call.B), floats(call.C)];
  const [D, z, initialState] = [floats(call.D), floats(call.z), floats(call.initialState)];
  const resets = integers(call.resets);
  const y = newFloats(batch * length * dim);
  const lastState = newFloats(batch * dim * state);
  if (initialState !== undefined) lastState.set(initialState);

  for (let b = 0; b < batch; b++) {
    for (let c = 0; c < dim; c++) {
      const h = lastState.subarray((b * dim + c) * state, (b * dim + c + 1) * state);
      for (let t = 0; t < length; t++) {
        const i = (b * length + t) * dim + c;
        const d = stepSize(call, i, c);
        const inB = offsetOfB(call, b, t, c);
        const inC = offsetOfC(call, b, t, c);
        if (resets !== undefined && resets[b * length + t] !== 0) h.fill(0);
        let sum = 0;
        for (let n = 0; n < state; n++) {
          const a = A[c * state + n]!;
          const Bbar = inputScale(discretization, d, a) * B[inB + n]!;
          h[n] = decay(discretization, d, a) * h[n]! + Bbar * u[i]!;
          sum += C[inC + n]! * h[n]!;
        }
        if (D !== undefined) sum += D[c]! * u[i]!;
        y[i] = z === undefined ? sum : sum * silu(z[i]!);
      }
    }
  }
  return { y, lastState };
}

/** delta + deltaBias of channel c, at index i of delta. */
export function biasedDelta({ delta, deltaBias }: SelectiveScanCall<Input>, i: number, c: number): number {
  const bias = floats(deltaBias);
  return bias === undefined ? floats(delta)[i]! : floats(delta)[i]! + bias[c]!;
}

/** The step size d of the equations. */
export function stepSize(call: SelectiveScanCall<Input>, i: number, c: number): number {
  const biased = biasedDelta(call, i, c);
  return call.deltaSoftplus ? softplus(biased) : biased;
}

/** The offset of B's `state` values for row b, step t and channel c. */
export function offsetOfB(call: SelectiveScanCall<Input>, b: number, t: number, c: number): number {
  return call.constantB ? c * call.state : offsetOfGroup(call, b, t, c);
}

/** The offset of C's `state` values for row b, step t and channel c. */
export function offsetOfC(call: SelectiveScanCall<Input>, b: number, t: number, c: number): number {
  return call.constantC ? c * call.state : offsetOfGroup(call, b, t, c);
}

/** Group g serves channels [g dim / groups, (g + 1) dim / groups). */
function offsetOfGroup(call: SelectiveScanCall<Input>, b: number, t: number, c: number): number {
  const { length, dim, groups, state } = call;
  const group = Math.floor((c * groups) / dim);
  return ((b * length + t) * groups + group) * state;
}
