import type { Mamba2Config } from '@mamba/core';
import type { KindInputs } from '../contract.ts';

/** Every parameter begins as training begins it. */
export const mamba2Inputs: KindInputs<Mamba2Config> = {
  // The scan's state is an average of its inputs, and smaller than they are.
  stateDeviation: { ssm: 0.1 },
  scalable: ['outProj'],
};
