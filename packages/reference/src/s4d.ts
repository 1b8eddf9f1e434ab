/**
 * The time-invariant case (S4D) as a convolution: where delta, A, B and C are constant, the recurrence of the selective
 * scan is a causal convolution, arXiv 2312.00752 equation 3. Arrays are contiguous, with the last axis fastest.
 */
import type { Discretization } from '@mamba/core';
import { invalid } from '@mamba/core/driver';
import { decay, inputScale } from './discretization.ts';
import { newFloats } from './storage.ts';

/** A real diagonal system that does not vary with time. */
export interface S4dSystem {
  /** `[dim, state]`, negative. */
  readonly A: Float64Array;
  /** `[dim, state]` */
  readonly B: Float64Array;
  /** `[dim, state]` */
  readonly C: Float64Array;
  /** `[dim]`: the step size itself, after any bias and softplus. */
  readonly delta: Float64Array;
  /** Number of steps of the kernel. */
  readonly length: number;
  /** Default `euler`, as in `selectiveScan`. */
  readonly discretization?: Discretization | undefined;
}

/**
 * The kernel `[dim, length]`: `K[c, t] = Σ_n C[c, n] Abar[c, n]^t Bbar[c, n]`.
 * @throws MambaError `invalid-argument` where sizes do not agree, `out-of-memory`.
 */
export function s4dKernel({ A, B, C, delta, length, discretization = 'euler' }: S4dSystem): Float64Array {
  const dim = delta.length;
  const state = A.length / dim;
  if (!(Number.isInteger(state) && state >= 1)) throw invalid('s4dKernel.A', `${A.length} values`, '[dim, state]');
  for (const [name, values] of [
    ['B', B],
    ['C', C],
  ] as const) {
    if (values.length !== A.length)
      throw invalid(`s4dKernel.${name}`, `${values.length} values`, `${A.length}, [dim, state] as A`);
  }
  if (!(Number.isInteger(length) && length >= 1))
    throw invalid('s4dKernel.length', String(length), 'an integer of at least 1');

  const kernel = newFloats(dim * length);
  for (let c = 0; c < dim; c++) {
    for (let n = c * state; n < (c + 1) * state; n++) {
      const Abar = decay(discretization, delta[c]!, A[n]!);
      const Bbar = inputScale(discretization, delta[c]!, A[n]!) * B[n]!;
      for (let t = 0; t < length; t++) kernel[c * length + t]! += C[n]! * Abar ** t * Bbar;
    }
  }
  return kernel;
}

/** An input and a kernel that it is convolved with. */
export interface S4dConvolution {
  /** `[batch, length, dim]`, channels last, as `selectiveScan` takes it. */
  readonly u: Float64Array;
  /** `[dim, length]`, as `s4dKernel` returns it. */
  readonly kernel: Float64Array;
  readonly dim: number;
  /** Skip weight `[dim]`; 0 if absent. */
  readonly D?: Float64Array | undefined;
}

/**
 * The causal convolution `y[b, t, c] = Σ_(s ≤ t) kernel[c, t - s] u[b, s, c] + D[c] u[b, t, c]`, shaped as u.
 * @throws MambaError `invalid-argument` where sizes do not agree, `out-of-memory`.
 */
export function s4dConvolve({ u, kernel, dim, D }: S4dConvolution): Float64Array {
  const length = kernel.length / dim;
  if (!(Number.isInteger(length) && length >= 1))
    throw invalid('s4dConvolve.kernel', `${kernel.length} values for dim ${dim}`, '[dim, length]');
  const batch = u.length / kernel.length;
  if (!(Number.isInteger(batch) && batch >= 1))
    throw invalid('s4dConvolve.u', `${u.length} values`, `a multiple of ${length * dim}, [batch, length, dim]`);
  if (D !== undefined && D.length !== dim) throw invalid('s4dConvolve.D', `${D.length} values`, `${dim}, [dim]`);

  const y = newFloats(u.length);
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < length; t++) {
      for (let c = 0; c < dim; c++) {
        const at = (step: number): number => u[(b * length + step) * dim + c]!;
        let sum = 0;
        for (let s = 0; s <= t; s++) sum += kernel[c * length + t - s]! * at(s);
        y[(b * length + t) * dim + c] = D === undefined ? sum : sum + D[c]! * at(t);
      }
    }
  }
  return y;
}
