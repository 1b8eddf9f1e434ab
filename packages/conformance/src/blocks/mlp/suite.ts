import type { MlpConfig } from '@mamba/core';
import type { KindSuite } from '../contract.ts';
import { mlpCases } from './cases.ts';
import { mlpDraws } from './properties.ts';
import { SWIGLU_BLOCK } from './shapes.ts';

export const mlpSuite: KindSuite<MlpConfig> = {
  cases: mlpCases,
  properties: () => ({ mlp: mlpDraws() }),
  sequences: { 'block-swiglu': SWIGLU_BLOCK },
};
