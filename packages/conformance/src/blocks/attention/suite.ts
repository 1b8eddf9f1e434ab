import type { AttentionConfig } from '@mamba/core';
import type { KindSuite } from '../contract.ts';
import { attentionBadInput } from './bad-input.ts';
import { attentionCases } from './cases.ts';
import { attentionDraws } from './properties.ts';
import { GLOBAL_BLOCK, GROUPED_BLOCK, WINDOW_BLOCK } from './shapes.ts';

export const attentionSuite: KindSuite<AttentionConfig> = {
  cases: attentionCases,
  properties: () => ({ 'attention-block': attentionDraws() }),
  sequences: { 'block-attention-window': WINDOW_BLOCK, 'block-attention-global': GLOBAL_BLOCK },
  laws: [{ config: GROUPED_BLOCK }],
  badInput: attentionBadInput,
};
