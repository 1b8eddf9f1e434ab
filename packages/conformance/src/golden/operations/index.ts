/** The operations that golden files may name, by these names. */
import { causalConv1d } from './causal-conv1d.ts';
import { embedding } from './embedding.ts';
import { gatedRmsNorm } from './gated-rms-norm.ts';
import type { GoldenOperation } from './golden-operation.ts';
import { layerNorm } from './layer-norm.ts';
import { linear } from './linear.ts';
import { multiply } from './multiply.ts';
import { rmsNorm } from './rms-norm.ts';
import { rotary } from './rotary.ts';
import { selectiveScan } from './selective-scan.ts';
import { ssdScan } from './ssd-scan.ts';

export const GOLDEN_OPERATIONS: ReadonlyMap<string, GoldenOperation> = new Map([
  ['selective_scan', selectiveScan],
  ['ssd', ssdScan],
  ['gated_rms_norm', gatedRmsNorm],
  ['causal_conv1d', causalConv1d],
  ['linear', linear],
  ['rms_norm', rmsNorm],
  ['layer_norm', layerNorm],
  ['embedding', embedding],
  ['multiply', multiply],
  ['rotary', rotary],
]);
