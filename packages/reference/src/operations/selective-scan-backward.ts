import type { SelectiveScanGradients } from '@mamba/core';
import type { SelectiveScanBackwardCall } from '@mamba/core/driver';
import { decay, decayByA, decayByStep, inputScale, inputScaleByA, inputScaleByStep } from '../discretization.ts';
import { silu, siluDerivative, softplusDerivative } from '../scalar.ts';
import { floats, type Input, integers, newFloats, type Storage } from '../storage.ts';
import { biasedDelta, offsetOfB, offsetOfC, stepSize } from './selective-scan.ts';

/**
 * Reverse mode through the recurrence of `selectiveScan`. With s_t = C_t · h_t + D u_t, y_t = s_t silu(z_t), scale =
 * Bbar / B and g_t the cotangent of h_t:
 *
 *     ds_t = dy_t silu(z_t)                        dz_t = dy_t s_t silu'(z_t)
 *     g_t  = ds_t C_t + Abar_(t+1) g_(t+1)      g_(last+1) is dLastState; the second term is 0 where resets marks t + 1
 *     dC_t = ds_t h_t                              dD  = Σ ds_t u_t
 *     dB_t = g_t scale_t u_t                       du_t = ds_t D + Σ_n g_t Bbar_t
 *     dd_t = Σ_n g_t (h_(t-1) ∂Abar/∂d + B_t u_t ∂scale/∂d)
 *     dA   = Σ_t g_t (h_(t-1) ∂Abar/∂A + B_t u_t ∂scale/∂A)
 *     ddelta_t = dd_t softplus'(delta_t + deltaBias), dd_t without softplus;  ddeltaBias = Σ_t ddelta_t
 *
 * The gradient of a shared value is the sum over its uses: over rows and steps for A and D, over the channels of a
 * group for B and C, and over rows and steps for constant B and C. The states of one channel are kept for the whole
 * length, in memory `[length, state]`.
 */
export function selectiveScanBackward(call: SelectiveScanBackwardCall<Input>): SelectiveScanGradients<Storage> {
  const { batch, length, dim, state, discretization } = call;
  const [u, A, B, C] = [floats(call.u), floats(call.A), floats(call.B), floats(call.C)];
  const [D, z, initialState] = [floats(call.D), floats(call.z), floats(call.initialState)];
  const [dy, dLastState] = [floats(call.dy), floats(call.dLastState)];
  const resets = integers(call.resets);
  const du = newFloats(u.length);
  const ddelta = newFloats(u.length);
  const dA = newFloats(A.length);
  const dB = newFloats(B.length);
  const dC = newFloats(C.length);
  const dD = D && newFloats(dim);
  const dz = z && newFloats(z.length);
  const dDeltaBias = call.deltaBias && newFloats(dim);
  const dInitialState = initialState && newFloats(initialState.length);

  // Row 0 is the state before the first step, row t + 1 the state after step t.
  const states = newFloats((length + 1) * state);
  const g = newFloats(state);

  for (let b = 0; b < batch; b++) {
    for (let c = 0; c < dim; c++) {
      const inState = (b * dim + c) * state;
      const isReset = (t: number): boolean => resets !== undefined && resets[b * length + t] !== 0;

      for (let n = 0; n < state; n++) states[n] = initialState?.[inState + n] ?? 0;
      for (let t = 0; t < length; t++) {
        const i = (b * length + t) * dim + c;
        const d = stepSize(call, i, c);
        const inB = offsetOfB(call, b, t, c);
        for (let n = 0; n < state; n++) {
          const a = A[c * state + n]!;
          const previous = isReset(t) ? 0 : states[t * state + n]!;
          const Bbar = inputScale(discretization, d, a) * B[inB + n]!;
          states[(t + 1) * state + n] = decay(discretization, d, a) * previous + Bbar * u[i]!;
        }
      }

      for (let n = 0; n < state; n++) g[n] = dLastState?.[inState + n] ?? 0;
      for (let t = length - 1; t >= 0; t--) {
        const i = (b * length + t) * dim + c;
        const d = stepSize(call, i, c);
        const inB = offsetOfB(call, b, t, c);
        const inC = offsetOfC(call, b, t, c);
        const ds = z === undefined ? dy[i]! : dy[i]! * silu(z[i]!);

        let sum = 0;
        let dd = 0;
        for (let n = 0; n < state; n++) {
          const a = A[c * state + n]!;
          const h = states[(t + 1) * state + n]!;
          const previous = isReset(t) ? 0 : states[t * state + n]!;
          const input = B[inB + n]! * u[i]!;
          const scale = inputScale(discretization, d, a);
          sum += C[inC + n]! * h;
          dC[inC + n]! += ds * h;
          const dh = g[n]! + ds * C[inC + n]!;
          dB[inB + n]! += dh * scale * u[i]!;
          du[i]! += dh * scale * B[inB + n]!;
          dd += dh * (previous * decayByStep(discretization, d, a) + input * inputScaleByStep(discretization, d, a));
          dA[c * state + n]! +=
            dh * (previous * decayByA(discretization, d, a) + input * inputScaleByA(discretization, d, a));
          g[n] = isReset(t) ? 0 : decay(discretization, d, a) * dh;
        }
        if (D !== undefined) {
          sum += D[c]! * u[i]!;
          du[i]! += ds * D[c]!;
          dD![c]! += ds * u[i]!;
        }
        if (z !== undefined) dz![i] = dy[i]! * sum * siluDerivative(z[i]!);
        ddelta[i] = call.deltaSoftplus ? dd * softplusDerivative(biasedDelta(call, i, c)) : dd;
        if (dDeltaBias !== undefined) dDeltaBias[c]! += ddelta[i]!;
      }
      dInitialState?.set(g, inState);
    }
  }
  return {
    u: du,
    delta: ddelta,
    A: dA,
    B: dB,
    C: dC,
    ...(dD && { D: dD }),
    ...(dz && { z: dz }),
    ...(dDeltaBias && { deltaBias: dDeltaBias }),
    ...(dInitialState && { initialState: dInitialState }),
  };
}
