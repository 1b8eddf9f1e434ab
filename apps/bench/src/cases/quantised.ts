/** Weights in fewer bits: the time and memory that they save, and the error of the logits. */
import { type DType, MAMBA_SIZES, modelConfig } from '@mamba/core';
import { chosen, type Suite } from './contract.ts';
import { benchModel } from './model.ts';

const DTYPES: readonly DType[] = ['float16', 'bfloat16', 'q8', 'q4'];

export const quantisedSuite: Suite = {
  name: 'quantised',
  summary: 'weights in 16, 8 and 4 bits: speed, memory, and the error of the logits',
  takes: ['dtypes'],
  cases({ effort, slow, shapes }) {
    const full = MAMBA_SIZES['mamba-130m'];
    // Two layers and the head are a third of the work of a step, and tell the types apart as well.
    const config = modelConfig(slow || effort === 'quick' ? { ...full, layers: 2 } : full);
    const dtypes = slow ? DTYPES.slice(0, 1) : chosen(shapes?.dtypes, DTYPES);
    const lengths = slow ? { decode: 2 } : effort === 'quick' ? { decode: 8 } : { prefill: 512, decode: 32 };
    const expected = new Map();
    return dtypes.map((weights) =>
      benchModel(config, { suite: 'quantised', ...lengths, batches: [1], weights, checkedTokens: 4, expected }),
    );
  },
};
