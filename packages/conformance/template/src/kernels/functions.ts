/** Functions of one number, which several kernels use. */
import type { Activation } from '@mamba/core';

/** The threshold of 20 is part of Mamba's definition. */
export const softplus = (x: number): number => (x > 20 ? x : Math.log1p(Math.exp(x)));
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
export const silu = (x: number): number => x * sigmoid(x);

/** The functions f of `multiply`. */
export const ACTIVATIONS: Readonly<Record<Activation, (x: number) => number>> = {
  none: (x) => x,
  silu,
  gelu: (x) => (x < 0 ? x * upperTail(-x) : x * (1 - upperTail(x))),
  'gelu-tanh': (x) => x * sigmoid(Math.sqrt(8 / Math.PI) * (x + 0.044715 * x ** 3)),
  relu2: (x) => Math.max(x, 0) ** 2,
  exp: Math.exp,
  sigmoid,
  tanh: Math.tanh,
  'elu-plus-one': (x) => (x > 0 ? x + 1 : Math.exp(x)),
  reciprocal: (x) => 1 / x,
};

/**
 * The probability that a normal number is above x ≥ 0: by the series of its integral near 0, and by Laplace's continued
 * fraction further out, where the series would leave only rounding.
 */
function upperTail(x: number): number {
  const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
  if (x > 3) {
    let fraction = x;
    for (let k = 30; k > 0; k--) fraction = x + k / fraction;
    return density / fraction;
  }
  let [term, sum] = [x, x];
  for (let k = 1; k < 40; k++) {
    term *= (x * x) / (2 * k + 1);
    sum += term;
  }
  return 0.5 - density * sum;
}
