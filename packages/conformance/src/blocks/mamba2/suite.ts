import type { Mamba2Config } from '@mamba/core';
import type { KindSuite } from '../contract.ts';
import { mamba2BadInput } from './bad-input.ts';
import { mamba2Cases } from './cases.ts';
import { mamba2Draws } from './properties.ts';
import { MAMBA2_BLOCK } from './shapes.ts';

export const mamba2Suite: KindSuite<Mamba2Config> = {
  cases: mamba2Cases,
  properties: () => ({ mamba2: mamba2Draws() }),
  laws: [{ config: MAMBA2_BLOCK }],
  badInput: mamba2BadInput,
};
