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

/** Both factors keep their relative precision, which 1 - sigmoid(x) would lose. */
export function sigmoidDerivative(x: number): number {
  return sigmoid(x) * sigmoid(-x);
}

/** 1 - tanh(x)², without cancellation. */
export function tanhDerivative(x: number): number {
  return 4 * sigmoidDerivative(2 * x);
}

/** x / (1 + exp(-x)), with gradual underflow to -0 for very negative x. */
export function silu(x: number): number {
  return x * sigmoid(x);
}

/**
 * x (1 + erf(x / √2)) / 2, as x times the probability of a normal number below x. For x below 0 that probability is
 * computed as a tail, since 1 + erf would cancel.
 */
export function gelu(x: number): number {
  return x * (x > 0 ? 1 - normalTail(x) : normalTail(-x));
}

/** x (1 + tanh(w)) / 2 with w = √(2/π) (x + 0.044715 x³). That is x / (1 + exp(-2 w)), which does not cancel. */
export function geluTanh(x: number): number {
  return x * sigmoid(2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3));
}

/** max(x, 0)² */
export function relu2(x: number): number {
  return Math.max(x, 0) ** 2;
}

/** elu(x) + 1, which is above 0. */
export function eluPlusOne(x: number): number {
  return x > 0 ? x + 1 : Math.exp(x);
}

export function eluPlusOneDerivative(x: number): number {
  return x > 0 ? 1 : Math.exp(x);
}

/** The probability of a normal number below x, plus x times its density. */
export function geluDerivative(x: number): number {
  const below = x > 0 ? 1 - normalTail(x) : normalTail(-x);
  return below + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
}

export function geluTanhDerivative(x: number): number {
  const root = Math.sqrt(2 / Math.PI);
  const s = sigmoid(2 * root * (x + 0.044715 * x ** 3));
  return s + x * s * (1 - s) * 2 * root * (1 + 3 * 0.044715 * x ** 2);
}

export function relu2Derivative(x: number): number {
  return 2 * Math.max(x, 0);
}

/**
 * erfc(t / √2) / 2 for t ≥ 0, the probability of a normal number above t. With x = t / √2 it is
 *
 *     x exp(-x²) / π ∫ exp(-s²) / (x² + s²) ds     over s from 0 to ∞
 *
 * by the midpoint rule with steps h. For x below π / h that rule misses 1 / (1 + exp(2 π x / h)), which is added. The
 * remaining error is less than exp(-(π / h)²) of the result, below the precision of float64. All terms are positive, so
 * nothing cancels.
 */
function normalTail(t: number): number {
  // exp(-t² / 2) is 0 in float64.
  if (t > 39) return 0;
  const x = t / Math.SQRT2;
  const h = 0.4;
  let sum = 0;
  for (let k = 16; k >= 0; k--) {
    const s = (k + 0.5) * h;
    sum += Math.exp(-s * s) / (x * x + s * s);
  }
  const missed = x < Math.PI / h ? 1 / (1 + Math.exp((2 * Math.PI * x) / h)) : 0;
  return (h * x * Math.exp((-t * t) / 2) * sum) / Math.PI + missed;
}

export function siluDerivative(x: number): number {
  const s = sigmoid(x);
  return s * (1 + x * (1 - s));
}
