/**
 * The types of the calls that kernels receive, by operation. The files of the operations say what each computes.
 */
export type { AdamwCall, Rates } from './adamw.ts';
export type { AddCall } from './add.ts';
export type { ArgmaxCall } from './argmax.ts';
export type { ArgsortCall } from './argsort.ts';
export type { AttentionBackwardCall, AttentionCall } from './attention.ts';
export type { CausalConv1dBackwardCall, CausalConv1dCall } from './causal-conv1d.ts';
export type { ConcatCall } from './concat.ts';
export type { CrossEntropyBackwardCall, CrossEntropyCall } from './cross-entropy.ts';
export type { EmbeddingBackwardCall, EmbeddingCall } from './embedding.ts';
export type { GatedRmsNormBackwardCall, GatedRmsNormCall } from './gated-rms-norm.ts';
export type { GradientNormCall } from './gradient-norm.ts';
export type { LayerNormBackwardCall, LayerNormCall } from './layer-norm.ts';
export type { LinearBackwardCall, LinearCall } from './linear.ts';
export type { LogProbBackwardCall, LogProbCall } from './log-prob.ts';
export type { MultiplyBackwardCall, MultiplyCall } from './multiply.ts';
export type { ReshapeCall } from './reshape.ts';
export type { RmsNormBackwardCall, RmsNormCall } from './rms-norm.ts';
export type { RopeBackwardCall, RopeCall } from './rope.ts';
export type { S4dBackwardCall, S4dCall } from './s4d.ts';
export type { SampleCall } from './sample.ts';
export type { KeptSteps, SelectiveScanBackwardCall, SelectiveScanCall } from './selective-scan.ts';
export type { SliceCall } from './slice.ts';
export type { SsdScanBackwardCall, SsdScanCall } from './ssd-scan.ts';
export type { Calls, Results } from './table.ts';
export type { WriteRowsCall } from './write-rows.ts';
