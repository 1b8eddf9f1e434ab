/** The initialisations of S4D, arXiv 2206.11893 section 3.2. */
import type { InitialValues } from '@mamba/core';

/**
 * - `lin`: `-1/2 + iπn`
 * - `inv`: `-1/2 + i N/π (N/(2n+1) - 1)`, with the N = 2 dState states that those and their conjugates are
 * - `real`: `-(n + 1)`
 */
export type S4dInitialisation = 'lin' | 'inv' | 'real';

export const S4D_INITIALISATIONS: readonly S4dInitialisation[] = ['lin', 'inv', 'real'];

/** The real parts of A `[dim, dState]`. */
export function realParts(initialisation: S4dInitialisation): InitialValues {
  return initialisation === 'real' ? { kind: 'ramp' } : { kind: 'constant', value: -0.5 };
}

/** The imaginary parts of A `[dim, dState]`. */
export function imaginaryParts(initialisation: 'lin' | 'inv', dState: number): InitialValues {
  const all = 2 * dState;
  const value = (n: number): number =>
    initialisation === 'lin' ? Math.PI * n : (all / Math.PI) * (all / (2 * n + 1) - 1);
  return (index) => value(index % dState);
}

/** Logarithms of steps that are log-uniform between 0.001 and 0.1, section 4.1. */
export const LOG_STEPS: InitialValues = (_, random) => Math.log(1e-3) + random() * Math.log(1e-1 / 1e-3);
