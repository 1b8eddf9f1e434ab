/**
 * Decode after contexts of a thousand to a million tokens: the state has one size, so that a step takes one time. The
 * model is small, so that a million tokens can be fed.
 */
import { modelConfig } from '@mamba/core';
import { chosen, type Suite } from './contract.ts';
import { benchModel } from './model.ts';

export const contextSuite: Suite = {
  name: 'context',
  summary: 'decode speed after 2^10 to 2^20 tokens',
  takes: ['length'],
  cases({ effort, slow, shapes }) {
    const own = effort === 'quick' ? [2 ** 10, 2 ** 12, 2 ** 14] : [2 ** 10, 2 ** 13, 2 ** 16, 2 ** 20];
    const lengths = slow ? [2 ** 6, 2 ** 8] : chosen(shapes?.length, own);
    const config = modelConfig({ layers: 2, dModel: 64, vocabSize: 256 });
    return [
      benchModel(config, {
        suite: 'context',
        decode: slow ? 8 : 256,
        batches: [1],
        contexts: lengths.toSorted((a, b) => a - b),
        checkedTokens: 64,
      }),
    ];
  },
};
