/** The table of kernels. Replace one at a time: the suite tells whether the new one computes what the old one did. */
import type { Kernels } from '@mamba/core/driver';
import type { Memory, Storage } from '../memory.ts';
import { argmax } from './argmax.ts';
import { causalConv1d } from './causal-conv1d.ts';
import { concat, slice } from './copies.ts';
import { add, multiply } from './elementwise.ts';
import { embedding } from './embedding.ts';
import { linear } from './linear.ts';
import { logProb } from './log-prob.ts';
import { layerNorm, rmsNorm } from './norms.ts';
import { sample } from './sample.ts';
import { selectiveScan } from './selective-scan.ts';

/** The operations that every backend has. Those of training, and of mixers beside Mamba's, may be added. */
export function kernelsIn(memory: Memory): Kernels<Storage> {
  return {
    selectiveScan: (call) => selectiveScan(memory, call),
    causalConv1d: (call) => causalConv1d(memory, call),
    linear: (call) => linear(memory, call),
    rmsNorm: (call) => rmsNorm(memory, call),
    layerNorm: (call) => layerNorm(memory, call),
    embedding: (call) => embedding(memory, call),
    add: (call) => add(memory, call),
    multiply: (call) => multiply(memory, call),
    slice: (call) => slice(memory, call),
    concat: (call) => concat(memory, call),
    argmax: (call) => argmax(memory, call),
    sample: (call) => sample(memory, call),
    logProb: (call) => logProb(memory, call),
  };
}
