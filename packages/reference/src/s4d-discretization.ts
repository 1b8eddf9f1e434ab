/**
 * The discretisations of a complex state, arXiv 2206.11893 section 2.1, with z = dt A. Bbar is linear in B, so there is
 * a function of Bbar / B, and derivatives are of that.
 *
 * | | Abar | Bbar / B |
 * | --- | --- | --- |
 * | zoh | exp(z) | dt φ(z), φ(z) = (exp(z) - 1) / z |
 * | bilinear | (1 + z/2) q | dt q, q = 1 / (1 - z/2) |
 */
import type { S4dDiscretization } from '@mamba/core';
import { add, type Complex, complex, divide, exp, magnitude, multiply, scaled } from './complex.ts';

/** Abar. */
export function decayOf(kind: S4dDiscretization, dt: number, A: Complex): Complex {
  const z = scaled(A, dt);
  return kind === 'zoh' ? exp(z) : multiply(add(complex(1), scaled(z, 0.5)), bilinearQuotient(z));
}

/** Bbar / B. */
export function inputScaleOf(kind: S4dDiscretization, dt: number, A: Complex): Complex {
  const z = scaled(A, dt);
  return scaled(kind === 'zoh' ? phi(z) : bilinearQuotient(z), dt);
}

/**
 * E, which is exp(z) for zoh and q² for bilinear. The derivative of Abar by A is dt E, by dt it is A E, and that of
 * Bbar / B by dt is E.
 */
export function slopeOf(kind: S4dDiscretization, dt: number, A: Complex): Complex {
  const z = scaled(A, dt);
  return kind === 'zoh' ? exp(z) : multiply(bilinearQuotient(z), bilinearQuotient(z));
}

/** The derivative of Bbar / B by A: dt² φ'(z), or dt² q² / 2. */
export function inputScaleByAOf(kind: S4dDiscretization, dt: number, A: Complex): Complex {
  const z = scaled(A, dt);
  const q = bilinearQuotient(z);
  return scaled(kind === 'zoh' ? phiDerivative(z) : scaled(multiply(q, q), 0.5), dt * dt);
}

/** q */
function bilinearQuotient(z: Complex): Complex {
  return divide(complex(1), add(complex(1), scaled(z, -0.5)));
}

/** (exp(z) - 1) / z, near 0 as Σ z^k / (k! (k + 1)). */
function phi(z: Complex): Complex {
  if (magnitude(z) >= 1) return divide(add(exp(z), complex(-1)), z);
  return series(z, (k) => 1 / (k + 1));
}

/** The derivative of φ, (z exp(z) - exp(z) + 1) / z², near 0 as Σ z^k / (k! (k + 2)). */
function phiDerivative(z: Complex): Complex {
  if (magnitude(z) >= 1) return divide(add(multiply(exp(z), add(z, complex(-1))), complex(1)), multiply(z, z));
  return series(z, (k) => 1 / (k + 2));
}

/** Σ factor(k) z^k / k! */
function series(z: Complex, factor: (k: number) => number): Complex {
  let sum = complex(0);
  let term = complex(1);
  for (let k = 0; k < 22; k++) {
    sum = add(sum, scaled(term, factor(k)));
    term = scaled(multiply(term, z), 1 / (k + 1));
  }
  return sum;
}
