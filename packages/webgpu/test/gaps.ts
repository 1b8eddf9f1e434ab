import type { KnownGap } from '@mamba/conformance/vitest';

/** Checks that this backend is known to fail, and why. */
export const gaps: readonly KnownGap[] = [
  {
    case: 'layer-norm-backward/r5-c2',
    reason:
      'with two channels the gradient is eps / variance of what cancels in it, some 1e-5, so float32 keeps three digits',
  },
];
