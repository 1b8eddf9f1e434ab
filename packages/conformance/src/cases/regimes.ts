/** The numeric regimes in which a scan has to be right, with functions that draw delta, A and z for them. */
import type { HostTensor, Shape } from '@mamba/core';
import type { Random } from '../random.ts';
import { floats, normals } from './host.ts';

/**
 * - `usual`: as in a trained model: steps of 0.001 to 0.1 before the input is added, A around -1 to -state
 * - `s4d`: A is -1 … -state for every channel (S4D-Real)
 * - `huge_dt`: steps up to 60, on both sides of softplus's threshold; the state is forgotten at once
 * - `stiff`: |A| up to e^8
 * - `forget_never`: |A| down to 1e-9, so that the state only grows
 * - `big_gate`: |z| about 60, where silu is 0 or the identity
 */
export type Regime = 'usual' | 's4d' | 'huge_dt' | 'stiff' | 'forget_never' | 'big_gate';
/** All regimes. */
export const REGIMES: readonly Regime[] = ['usual', 's4d', 'huge_dt', 'stiff', 'forget_never', 'big_gate'];

type Floats = HostTensor & { readonly dtype: 'float32' };

export function makeA(random: Random, dim: number, state: number, regime: Regime): Floats {
  return floats([dim, state], (index) => {
    const drawn = random.uniform();
    const order = (index % state) + 1;
    if (regime === 's4d') return -order;
    if (regime === 'stiff') return -Math.exp(10 * drawn - 2);
    if (regime === 'forget_never') return -(10 ** (6 * drawn - 9));
    return -order * Math.exp(drawn - 0.5);
  });
}

/** Draws delta before deltaBias is added. Without softplus it is the step itself, and positive. */
export function makeDelta(random: Random, shape: Shape, regime: Regime, deltaSoftplus: boolean): Floats {
  if (regime === 'huge_dt') return floats(shape, () => random.uniform(deltaSoftplus ? -10 : 1, 60));
  if (deltaSoftplus) return normals(random, shape);
  return floats(shape, () => random.logUniform(1e-3, 0.3));
}

/**
 * Draws deltaBias. With softplus, it is the inverse of softplus at steps of 0.001 to 0.1, as Mamba initialises it;
 * without softplus, a small positive number.
 */
export function makeDeltaBias(random: Random, dim: number, deltaSoftplus: boolean): Floats {
  return floats([dim], () =>
    deltaSoftplus ? inverseSoftplus(random.logUniform(1e-3, 0.1)) : random.logUniform(1e-3, 0.1),
  );
}

export function makeZ(random: Random, shape: Shape, regime: Regime): Floats {
  if (regime !== 'big_gate') return normals(random, shape);
  return floats(shape, () => (random.uniform() < 0.5 ? -1 : 1) * random.uniform(50, 70));
}

/** log(exp(x) - 1) for x above 0. */
export function inverseSoftplus(x: number): number {
  return x + Math.log(-Math.expm1(-x));
}
