import type { SsdScanGradients } from '@mamba/core';
import type { SsdScanBackwardCall } from '@mamba/core/driver';
import { silu, siluDerivative, softplusDerivative } from '../scalar.ts';
import { floats, type Input, integers, newFloats, type Storage } from '../storage.ts';
import { biasedStep, offsetOfGroup, skipOf, stepSizeOf, unlimitedStep } from './ssd-scan.ts';

/**
 * Reverse mode through the recurrence of `ssdScan`. With s_t = S_t C_t + D x_t, y_t = s_t silu(z_t), a_t = exp(d A) and
 * g_t the cotangent of S_t:
 *
 *     ds_t = dy_t silu(z_t)                            dz_t = dy_t s_t silu'(z_t)
 *     g_t  = ds_t C_tᵀ + a_(t+1) g_(t+1)               g_(last+1) is dLastState; the second term is 0 across a reset
 *     dC_t = Σ_heads S_tᵀ ds_t                         dD  = Σ ds_t x_t
 *     dB_t = Σ_heads d g_tᵀ x_t                        dx_t = D ds_t + d g_t B_t
 *     dd_t = A a_t <g_t, S_(t-1)> + x_t · g_t B_t      dA  = Σ d a_t <g_t, S_(t-1)>
 *     ddt_t = dd_t softplus'(dt_t + dtBias), or 0 where a limit holds d;  dDtBias = Σ ddt_t
 *
 * The states of one channel of a head are kept for the whole length, in memory `[length, state]`.
 */
export function ssdScanBackward(call: SsdScanBackwardCall<Input>): SsdScanGradients<Storage> {
  const { batch, length, heads, headDim, state } = call;
  const [x, A, B, C] = [floats(call.x), floats(call.A), floats(call.B), floats(call.C)];
  const [D, z, initialState] = [floats(call.D), floats(call.z), floats(call.initialState)];
  const [dy, dLastState] = [floats(call.dy), floats(call.dLastState)];
  const resets = integers(call.resets);
  const dx = newFloats(x.length);
  const dd = newFloats(batch * length * heads);
  const ddt = newFloats(dd.length);
  const dA = newFloats(heads);
  const dB = newFloats(B.length);
  const dC = newFloats(C.length);
  const dD = D && newFloats(D.length);
  const dz = z && newFloats(z.length);
  const dDtBias = call.dtBias && newFloats(heads);
  const dInitialState = initialState && newFloats(initialState.length);

  // Row 0 is the state before the first step, row t + 1 the state after step t.
  const states = newFloats((length + 1) * state);
  const g = newFloats(state);

  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const isReset = (t: number): boolean => resets !== undefined && resets[b * length + t] !== 0;
      for (let p = 0; p < headDim; p++) {
        const inState = ((b * heads + h) * headDim + p) * state;

        for (let n = 0; n < state; n++) states[n] = initialState?.[inState + n] ?? 0;
        for (let t = 0; t < length; t++) {
          const step = (b * length + t) * heads + h;
          const d = stepSizeOf(call, step, h);
          const inB = offsetOfGroup(call, b, t, h);
          for (let n = 0; n < state; n++) {
            const previous = isReset(t) ? 0 : states[t * state + n]!;
            states[(t + 1) * state + n] = Math.exp(d * A[h]!) * previous + d * x[step * headDim + p]! * B[inB + n]!;
          }
        }

        for (let n = 0; n < state; n++) g[n] = dLastState?.[inState + n] ?? 0;
        for (let t = length - 1; t >= 0; t--) {
          const step = (b * length + t) * heads + h;
          const i = step * headDim + p;
          const d = stepSizeOf(call, step, h);
          const decay = Math.exp(d * A[h]!);
          const inB = offsetOfGroup(call, b, t, h);
          const ds = z === undefined ? dy[i]! : dy[i]! * silu(z[i]!);

          let sum = 0;
          let entered = 0;
          let decayed = 0;
          for (let n = 0; n < state; n++) {
            const S = states[(t + 1) * state + n]!;
            const previous = isReset(t) ? 0 : states[t * state + n]!;
            sum += C[inB + n]! * S;
            dC[inB + n]! += ds * S;
            const dS = g[n]! + ds * C[inB + n]!;
            dB[inB + n]! += dS * d * x[i]!;
            entered += dS * B[inB + n]!;
            decayed += dS * decay * previous;
            g[n] = isReset(t) ? 0 : decay * dS;
          }
          dx[i] = d * entered;
          dd[step]! += A[h]! * decayed + x[i]! * entered;
          dA[h]! += d * decayed;
          if (D !== undefined) {
            sum += skipOf(call, h, p) * x[i]!;
            dx[i]! += skipOf(call, h, p) * ds;
            dD![call.wideD ? h * headDim + p : h]! += ds * x[i]!;
          }
          if (z !== undefined) dz![i] = dy[i]! * sum * siluDerivative(z[i]!);
        }
        dInitialState?.set(g, inState);
      }
      for (let t = 0; t < length; t++) {
        const step = (b * length + t) * heads + h;
        ddt[step] = dd[step]! * slopeOfStep(call, step, h);
        if (dDtBias !== undefined) dDtBias[h]! += ddt[step]!;
      }
    }
  }
  return {
    x: dx,
    dt: ddt,
    A: dA,
    B: dB,
    C: dC,
    ...(dD && { D: dD }),
    ...(dz && { z: dz }),
    ...(dDtBias && { dtBias: dDtBias }),
    ...(dInitialState && { initialState: dInitialState }),
  };
}

/** The derivative of the step size by dt. */
function slopeOfStep(call: SsdScanBackwardCall<Input>, step: number, h: number): number {
  const unlimited = unlimitedStep(call, step, h);
  if (unlimited < call.dtMin || unlimited > call.dtMax) return 0;
  return call.dtSoftplus ? softplusDerivative(biasedStep(call, step, h)) : 1;
}
