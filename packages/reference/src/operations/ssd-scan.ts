import type { ScanResult } from '@mamba/core';
import type { SsdScanCall } from '@mamba/core/driver';
import { silu, softplus } from '../scalar.ts';
import { floats, type Input, integers, newFloats, type Storage } from '../storage.ts';

/**
 * Mamba-2's scan as its recurrence (arXiv 2405.21060), one head after the other:
 *
 *     d   = clamp(dtSoftplus ? softplus(dt + dtBias) : dt + dtBias, dtMin, dtMax)
 *     S_t = exp(d A) S_(t-1) + d x_t B_tᵀ         S_(t-1) = 0 where resets marks t
 *     y_t = (S_t C_t + D x_t) * silu(z_t)
 */
export function ssdScan(call: SsdScanCall<Input>): ScanResult<Storage> {
  const { batch, length, heads, headDim, state } = call;
  const [x, A, B, C] = [floats(call.x), floats(call.A), floats(call.B), floats(call.C)];
  const [z, initialState] = [floats(call.z), floats(call.initialState)];
  const resets = integers(call.resets);
  const y = newFloats(x.length);
  const lastState = newFloats(batch * heads * headDim * state);
  if (initialState !== undefined) lastState.set(initialState);

  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const first = (b * heads + h) * headDim * state;
      const S = lastState.subarray(first, first + headDim * state);
      for (let t = 0; t < length; t++) {
        const step = (b * length + t) * heads + h;
        const d = stepSizeOf(call, step, h);
        const decay = Math.exp(d * A[h]!);
        const inB = offsetOfGroup(call, b, t, h);
        if (resets !== undefined && resets[b * length + t] !== 0) S.fill(0);
        for (let p = 0; p < headDim; p++) {
          const i = step * headDim + p;
          let sum = 0;
          for (let n = 0; n < state; n++) {
            const value = decay * S[p * state + n]! + d * x[i]! * B[inB + n]!;
            S[p * state + n] = value;
            sum += C[inB + n]! * value;
          }
          if (call.D !== undefined) sum += skipOf(call, h, p) * x[i]!;
          y[i] = z === undefined ? sum : sum * silu(z[i]!);
        }
      }
    }
  }
  return { y, lastState };
}

/** dt + dtBias of head h, at index `step` of dt. */
export function biasedStep({ dt, dtBias }: SsdScanCall<Input>, step: number, h: number): number {
  const bias = floats(dtBias);
  return bias === undefined ? floats(dt)[step]! : floats(dt)[step]! + bias[h]!;
}

/** The step size before the limits. */
export function unlimitedStep(call: SsdScanCall<Input>, step: number, h: number): number {
  const biased = biasedStep(call, step, h);
  return call.dtSoftplus ? softplus(biased) : biased;
}

/** The step size d of the equations. */
export function stepSizeOf(call: SsdScanCall<Input>, step: number, h: number): number {
  return Math.min(Math.max(unlimitedStep(call, step, h), call.dtMin), call.dtMax);
}

/** D of channel p of head h. */
export function skipOf({ D, wideD, headDim }: SsdScanCall<Input>, h: number, p: number): number {
  return floats(D)![wideD ? h * headDim + p : h]!;
}

/** The offset of the `state` values of B, or of C, for row b, step t and head h. */
export function offsetOfGroup(call: SsdScanCall<Input>, b: number, t: number, h: number): number {
  const { length, heads, groups, state } = call;
  return ((b * length + t) * groups + Math.floor((h * groups) / heads)) * state;
}
