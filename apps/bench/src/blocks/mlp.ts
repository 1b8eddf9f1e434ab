import { isGated } from '@mamba/core/toolkit';
import { SILU } from '../cases/work.ts';
import type { CountWork } from './work.ts';

/** Two or three products, and an activation for each hidden value. */
export const mlpWork: CountWork<'mlp'> = (config, { dModel, tokens, bytesPerValue, bytesPerWeight }) => {
  const { dHidden } = config;
  const matrices = (isGated(config) ? 3 : 2) * dHidden * dModel;
  return {
    operations: tokens * (2 * matrices + dHidden * SILU),
    bytes: matrices * bytesPerWeight + 2 * tokens * dModel * bytesPerValue,
  };
};
