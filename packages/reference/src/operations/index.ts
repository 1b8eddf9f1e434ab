import type { Kernels } from '@mamba/core/driver';
import type { Storage } from '../storage.ts';
import { add } from './add.ts';
import { argmax } from './argmax.ts';
import { causalConv1d } from './causal-conv1d.ts';
import { causalConv1dBackward } from './causal-conv1d-backward.ts';
import { concat } from './concat.ts';
import { embedding } from './embedding.ts';
import { layerNorm } from './layer-norm.ts';
import { linear } from './linear.ts';
import { logProb } from './log-prob.ts';
import { multiply } from './multiply.ts';
import { rmsNorm } from './rms-norm.ts';
import { sample } from './sample.ts';
import { selectiveScan } from './selective-scan.ts';
import { selectiveScanBackward } from './selective-scan-backward.ts';
import { slice } from './slice.ts';

export const kernels: Kernels<Storage> = {
  selectiveScan,
  causalConv1d,
  linear,
  rmsNorm,
  layerNorm,
  embedding,
  add,
  multiply,
  slice,
  concat,
  argmax,
  sample,
  logProb,
  selectiveScanBackward,
  causalConv1dBackward,
};
