import { MambaError, type Tensor } from '@mamba/core';
import type { Accumulated } from './accumulate.ts';

/** The loss and the norm of the gradients of a step, one of which is not finite. */
export interface Diverged {
  readonly step: number;
  readonly loss: number;
  readonly norm: number;
}

/**
 * The error for a loss or a norm that is not finite: it names the step, and the first parameter whose gradient is not
 * finite.
 * @param again The gradients of the step, computed again. They are disposed.
 * @param read Reads a tensor.
 */
export async function divergence(
  { step, loss, norm }: Diverged,
  again: Accumulated,
  read: (tensor: Tensor) => Promise<ArrayLike<number>>,
): Promise<MambaError> {
  try {
    let largest = { name: '', value: 0 };
    for (const [name, tensor] of again.gradients) {
      for (const value of Array.from(await read(tensor))) {
        if (!Number.isFinite(value))
          return diverged({ step, loss, norm }, `the gradient of ${name} holds ${value}`, name);
        if (Math.abs(value) > largest.value) largest = { name, value: Math.abs(value) };
      }
    }
    const { name, value } = largest;
    return Number.isFinite(norm)
      ? diverged({ step, loss, norm }, 'its gradients are finite', 'loss')
      : diverged({ step, loss, norm }, `the gradient of ${name} reaches ${value.toExponential(1)}`, name);
  } finally {
    for (const part of again.losses) part.dispose();
    for (const tensor of again.gradients.values()) tensor.dispose();
  }
}

function diverged({ step, loss, norm }: Diverged, finding: string, tensor: string): MambaError {
  return new MambaError('not-finite', `training diverged at step ${step}`, {
    origin: `step ${step}: ${tensor}`,
    given: `a loss of ${loss} and gradients of norm ${norm}; ${finding}`,
    expected: 'finite numbers',
    remedy:
      'Take a lower learning rate or more steps of warm-up, and go on from the last save, or begin anew without one.',
  });
}
