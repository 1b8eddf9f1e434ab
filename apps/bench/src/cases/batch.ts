/** Decode of many sequences at once: a step reads the weights once for all of them. */
import { MAMBA_SIZES, modelConfig } from '@mamba/core';
import { chosen, type Suite } from './contract.ts';
import { benchModel } from './model.ts';

export const batchSuite: Suite = {
  name: 'batch',
  summary: 'decode of 1 to 64 sequences at once',
  takes: ['batch'],
  cases({ effort, slow, shapes }) {
    const own = { quick: [1, 8], standard: [1, 4, 16, 64], thorough: [1, 2, 4, 8, 16, 32, 64] };
    const batches = slow ? [1, 4] : chosen(shapes?.batch, own[effort]);
    const full = MAMBA_SIZES['mamba-130m'];
    const config = modelConfig(slow || effort === 'quick' ? { ...full, layers: 2 } : full);
    return [benchModel(config, { suite: 'batch', decode: slow ? 2 : 8, batches, checkedRows: 8, checkedTokens: 1 })];
  },
};
