import type { S4dGradients } from '@mamba/core';
import type { S4dBackwardCall } from '@mamba/core/driver';
import { add, type Complex, complex, conjugate, multiply, scaled } from '../complex.ts';
import { inputScaleByAOf, inputScaleOf, slopeOf } from '../s4d-discretization.ts';
import { floats, type Input, newFloats, type Storage } from '../storage.ts';
import {
  complexAt,
  type DiscreteState,
  factorOf,
  initialStateOf,
  isReset,
  sizeOfStates,
  systemOf,
  writeComplex,
} from './s4d.ts';

/**
 * Reverse mode through the recurrence of `s4d`. With G_t the gradient of S_t, ' for the conjugate, and E, F = Bbar / B
 * as in s4d-discretization.ts:
 *
 *     G_t = f dy_t C' + Abar' G_(t+1)       G_(last+1) is dLastState; the second term is 0 where resets marks t + 1
 *     du_t = D dy_t + Re Σ_n Bbar' G_t      dD = Σ dy_t u_t             dC = f Σ dy_t S_t'
 *     dAbar = Σ S_(t-1)' G_t                dBbar = Σ u_t G_t           dB = F' dBbar
 *     dA = (dt E)' dAbar + (B ∂F/∂A)' dBbar
 *     ddt = Re Σ_n ((A E)' dAbar + (B E)' dBbar)
 */
export function s4dBackward(call: S4dBackwardCall<Input>): S4dGradients<Storage> {
  const { batch, length, dim, state, discretization } = call;
  const [u, D, dy] = [floats(call.u), floats(call.D), floats(call.dy)];
  const du = newFloats(u.length);
  const ddt = newFloats(dim);
  const size = sizeOfStates(call);
  const [dA, dB, dC] = [newFloats(size), newFloats(size), newFloats(size)];
  const dD = D && newFloats(dim);
  const dInitialState = call.initialState && newFloats(batch * size);

  for (let c = 0; c < dim; c++) {
    const dt = floats(call.dt)[c]!;
    const system = systemOf(call, c);
    const sums = system.map((): Sums => ({ dAbar: complex(0), dBbar: complex(0), dC: complex(0) }));
    for (let b = 0; b < batch; b++) {
      const states = system.map((item, n) => statesOf(call, b, c, n, item));
      const G = system.map((_, n) =>
        call.dLastState === undefined ? complex(0) : complexAt(call, call.dLastState, b * size, c, n),
      );
      for (let t = length - 1; t >= 0; t--) {
        const i = (b * length + t) * dim + c;
        const reset = isReset(call, b, t);
        let sum = D === undefined ? 0 : D[c]! * dy[i]!;
        if (dD !== undefined) dD[c]! += dy[i]! * u[i]!;
        for (const [n, { Abar, Bbar, fC }] of system.entries()) {
          const total = sums[n]!;
          const before = reset ? complex(0) : states[n]![t]!;
          G[n] = add(G[n]!, scaled(conjugate(fC), dy[i]!));
          sum += multiply(conjugate(Bbar), G[n]!).re;
          total.dC = add(total.dC, scaled(conjugate(states[n]![t + 1]!), factorOf(call) * dy[i]!));
          total.dBbar = add(total.dBbar, scaled(G[n]!, u[i]!));
          total.dAbar = add(total.dAbar, multiply(conjugate(before), G[n]!));
          G[n] = reset ? complex(0) : multiply(conjugate(Abar), G[n]!);
        }
        du[i] = sum;
      }
      if (dInitialState !== undefined)
        for (let n = 0; n < state; n++) writeComplex(call, dInitialState, b * size, c, n, G[n]!);
    }
    for (const [n, { A, B }] of system.entries()) {
      const { dAbar, dBbar, dC: total } = sums[n]!;
      const E = slopeOf(discretization, dt, A);
      const by = (derivative: Complex, gradient: Complex): Complex => multiply(conjugate(derivative), gradient);
      const byA = multiply(B, inputScaleByAOf(discretization, dt, A));
      writeComplex(call, dA, 0, c, n, add(by(scaled(E, dt), dAbar), by(byA, dBbar)));
      writeComplex(call, dB, 0, c, n, by(inputScaleOf(discretization, dt, A), dBbar));
      writeComplex(call, dC, 0, c, n, total);
      ddt[c]! += add(by(multiply(A, E), dAbar), by(multiply(B, E), dBbar)).re;
    }
  }
  return {
    u: du,
    dt: ddt,
    A: dA,
    C: dC,
    ...(call.B && { B: dB }),
    ...(dD && { D: dD }),
    ...(dInitialState && { initialState: dInitialState }),
  };
}

/** Sums over rows and steps. */
interface Sums {
  dAbar: Complex;
  dBbar: Complex;
  dC: Complex;
}

/** A state of one row and channel: before the first step, and after each. */
function statesOf(call: S4dBackwardCall<Input>, b: number, c: number, n: number, item: DiscreteState): Complex[] {
  const u = floats(call.u);
  const states = [initialStateOf(call, b, c, n)];
  for (let t = 0; t < call.length; t++) {
    const before = isReset(call, b, t) ? complex(0) : states[t]!;
    states.push(add(multiply(item.Abar, before), scaled(item.Bbar, u[(b * call.length + t) * call.dim + c]!)));
  }
  return states;
}
