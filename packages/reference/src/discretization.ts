/**
 * The discretisations of one channel and state, arXiv 2312.00752 section 2: h_t = Abar h_(t-1) + Bbar u_t, where d is
 * the step size. Bbar is linear in B, so these functions return `Bbar / B`, the scale of the input.
 */
import type { Discretization } from '@mamba/core';

/** Abar. */
export function decay(kind: Discretization, d: number, A: number): number {
  const x = d * A;
  return kind === 'bilinear' ? (1 + x / 2) / (1 - x / 2) : Math.exp(x);
}

/** Bbar / B. */
export function inputScale(kind: Discretization, d: number, A: number): number {
  if (kind === 'euler') return d;
  if (kind === 'bilinear') return d / (1 - (d * A) / 2);
  return A === 0 ? d : Math.expm1(d * A) / A;
}

/** ∂Abar / ∂d */
export function decayByStep(kind: Discretization, d: number, A: number): number {
  return kind === 'bilinear' ? A / (1 - (d * A) / 2) ** 2 : A * Math.exp(d * A);
}

/** ∂Abar / ∂A */
export function decayByA(kind: Discretization, d: number, A: number): number {
  return kind === 'bilinear' ? d / (1 - (d * A) / 2) ** 2 : d * Math.exp(d * A);
}

/** ∂(Bbar / B) / ∂d */
export function inputScaleByStep(kind: Discretization, d: number, A: number): number {
  if (kind === 'euler') return 1;
  return kind === 'bilinear' ? 1 / (1 - (d * A) / 2) ** 2 : Math.exp(d * A);
}

/** ∂(Bbar / B) / ∂A */
export function inputScaleByA(kind: Discretization, d: number, A: number): number {
  if (kind === 'euler') return 0;
  return kind === 'bilinear' ? (d * d) / 2 / (1 - (d * A) / 2) ** 2 : d * d * expm1RatioDerivative(d * A);
}

/**
 * The derivative of (exp(x) - 1) / x: (x exp(x) - expm1(x)) / x². Near 0, where that cancels, Σ (k + 1) / (k + 2)! x^k.
 */
function expm1RatioDerivative(x: number): number {
  if (Math.abs(x) >= 1) return (x * Math.exp(x) - Math.expm1(x)) / (x * x);
  let sum = 0;
  // x^k / (k + 2)!
  let term = 0.5;
  for (let k = 0; k < 20; k++) {
    sum += (k + 1) * term;
    term *= x / (k + 3);
  }
  return sum;
}
