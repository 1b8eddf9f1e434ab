import type { ScanResult } from '@mamba/core';
import type { SelectiveScanCall } from '@mamba/core/driver';
import { floatsOf, integersOf, type Memory, type Storage, type Tensor } from '../memory.ts';
import { silu, softplus } from './functions.ts';

/**
 * `h = Abar h + Bbar u` and `y = (C · h + D u) silu(z)`, token after token, for all channels. The state h of a row
 * of the batch, `[dim, state]`, is kept in the result: what it is after the last token is what is wanted.
 */
export function selectiveScan(memory: Memory, call: SelectiveScanCall<Tensor>): ScanResult<Storage> {
  const { batch, length, dim, state, groups, constantB, constantC, discretization } = call;
  const [u, delta, A, B, C] = [call.u, call.delta, call.A, call.B, call.C].map((tensor) => floatsOf(tensor));
  const [D, z, bias, initial] = [call.D, call.z, call.deltaBias, call.initialState].map((tensor) => floatsOf(tensor));
  const resets = integersOf(call.resets);
  const [y, lastState] = memory.floats(batch * length * dim, batch * dim * state);
  if (initial !== undefined) lastState.set(initial);

  for (let token = 0; token < batch * length; token++) {
    const start = Math.floor(token / length) * dim * state;
    const h = lastState.subarray(start, start + dim * state);
    if (resets?.[token]) h.fill(0);
    for (let c = 0; c < dim; c++) {
      const at = token * dim + c;
      const biased = delta[at] + (bias?.[c] ?? 0);
      const d = call.deltaSoftplus ? softplus(biased) : biased;
      // Where B or C varies with the token, neighbouring channels share a group's.
      const selective = (token * groups + Math.floor((c * groups) / dim)) * state;
      const [fromB, fromC] = [constantB ? c * state : selective, constantC ? c * state : selective];
      let sum = 0;
      for (let n = 0; n < state; n++) {
        const a = A[c * state + n];
        const [decay, gain] = DISCRETIZATIONS[discretization](d, a);
        const next = decay * h[c * state + n] + gain * B[fromB + n] * u[at];
        h[c * state + n] = next;
        sum += C[fromC + n] * next;
      }
      if (D !== undefined) sum += D[c] * u[at];
      y[at] = z === undefined ? sum : sum * silu(z[at]);
    }
  }
  return { y, lastState };
}

/** Abar, and the factor of B in Bbar, for a step size d and a rate a. */
const DISCRETIZATIONS = {
  euler: (d: number, a: number) => [Math.exp(d * a), d],
  zoh: (d: number, a: number) => [Math.exp(d * a), a === 0 ? d : Math.expm1(d * a) / a],
  bilinear: (d: number, a: number) => [(1 + (d * a) / 2) / (1 - (d * a) / 2), d / (1 - (d * a) / 2)],
};
