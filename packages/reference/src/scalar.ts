/** The scalar functions of the operations, with their derivatives. */

/** `x > 20 ? x : log1p(exp x)`: the threshold is part of Mamba's definition. */
export function softplus(x: number): number {
  return x > 20 ? x : Math.log1p(Math.exp(x));
}

export function softplusDerivative(x: number): number {
  return x > 20 ? 1 : sigmoid(x);
}

/** 1 / (1 + exp(-x)), without overflow on either side. */
export function sigmoid(x: number): number {
  if (x >= 0) return 1 / (1 + Math.exp(-x));
  const e = Math.exp(x);
  return e / (1 + e);
}

/** x / (1 + exp(-x)); goes to -0 gradually for very negative x. */
export function silu(x: number): number {
  return x * sigmoid(x);
}

export function siluDerivative(x: number): number {
  const s = sigmoid(x);
  return s * (1 + x * (1 - s));
}
