import type { Kernels } from '@mamba/core/driver';
import type { Storage } from '../storage.ts';
import { adamw } from './adamw.ts';
import { add } from './add.ts';
import { argmax } from './argmax.ts';
import { argsort } from './argsort.ts';
import { attention } from './attention.ts';
import { attentionBackward } from './attention-backward.ts';
import { causalConv1d } from './causal-conv1d.ts';
import { causalConv1dBackward } from './causal-conv1d-backward.ts';
import { concat } from './concat.ts';
import { crossEntropy } from './cross-entropy.ts';
import { crossEntropyBackward } from './cross-entropy-backward.ts';
import { embedding } from './embedding.ts';
import { embeddingBackward } from './embedding-backward.ts';
import { gatedRmsNorm } from './gated-rms-norm.ts';
import { gatedRmsNormBackward } from './gated-rms-norm-backward.ts';
import { gradientNorm } from './gradient-norm.ts';
import { layerNorm } from './layer-norm.ts';
import { layerNormBackward } from './layer-norm-backward.ts';
import { linear } from './linear.ts';
import { linearBackward } from './linear-backward.ts';
import { logProb } from './log-prob.ts';
import { logProbBackward } from './log-prob-backward.ts';
import { multiply } from './multiply.ts';
import { multiplyBackward } from './multiply-backward.ts';
import { rmsNorm } from './rms-norm.ts';
import { rmsNormBackward } from './rms-norm-backward.ts';
import { rope, ropeBackward } from './rope.ts';
import { s4d } from './s4d.ts';
import { s4dBackward } from './s4d-backward.ts';
import { sample } from './sample.ts';
import { selectiveScan } from './selective-scan.ts';
import { selectiveScanBackward } from './selective-scan-backward.ts';
import { slice } from './slice.ts';
import { ssdScan } from './ssd-scan.ts';
import { ssdScanBackward } from './ssd-scan-backward.ts';
import { writeRows } from './write-rows.ts';

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
  s4d,
  attention,
  rope,
  argsort,
  selectiveScanBackward,
  s4dBackward,
  ssdScan,
  gatedRmsNorm,
  ssdScanBackward,
  gatedRmsNormBackward,
  causalConv1dBackward,
  attentionBackward,
  ropeBackward,
  linearBackward,
  rmsNormBackward,
  layerNormBackward,
  embeddingBackward,
  multiplyBackward,
  logProbBackward,
  crossEntropyBackward,
  crossEntropy,
  gradientNorm,
  adamw,
  writeRows,
};
