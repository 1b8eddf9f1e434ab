import type { Backend, S4dDiscretization, Tensor } from '@mamba/core';
import { scoped } from '@mamba/core/toolkit';

/** Options of the kernel of S4D as a convolution. */
export interface S4dKernelOptions {
  /** Steps of the kernel. */
  readonly length: number;
  /** In the shape of A; 1 if absent. */
  readonly B?: Tensor | undefined;
  /** Default `zoh`. */
  readonly discretization?: S4dDiscretization | undefined;
}

/**
 * The kernel of the convolution that S4D is (arXiv 2206.11893, section 2): `K_t = f Re Σ_n C Abar^t Bbar`, with
 * `y_t = Σ_s K_s u_(t-s)` from a zero state and without D. It is the scan's answer to an impulse, so that every backend
 * has it. The caller disposes it.
 * @param dt `[dim]`
 * @param A `[2, dim, state]`, or `[dim, state]` where it is real.
 * @param C In the shape of A.
 * @returns `[1, length, dim]`
 */
export function s4dKernel(
  backend: Backend,
  dt: Tensor,
  A: Tensor,
  C: Tensor,
  { length, B, discretization }: S4dKernelOptions,
): Tensor {
  return scoped((scope) => {
    const dim = dt.shape[0]!;
    const data = new Float32Array(length * dim).fill(1, 0, dim);
    const impulse = scope.own(backend.upload({ dtype: 'float32', shape: [1, length, dim], data }));
    const { y, lastState } = backend.s4d(impulse, dt, A, C, { B, discretization });
    scope.own(lastState);
    return y;
  });
}
