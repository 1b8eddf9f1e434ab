import type { AttentionConfig } from '@mamba/core';
import type { KindInputs } from '../contract.ts';

/** A random number is no beginning of a sequence. */
export const attentionInputs: KindInputs<AttentionConfig> = { stateDeviation: { begun: 0 } };
