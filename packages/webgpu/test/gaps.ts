import type { KnownGap } from '@mamba/conformance/vitest';

/** Checks that this backend is known to fail, and why. */
export const gaps: readonly KnownGap[] = [];
