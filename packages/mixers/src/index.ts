/**
 * The systems that Mamba is compared with: for each, its kind of block, and the operation inside it as a function.
 * @module
 */
export { defineMixers } from './define.ts';
export { defineGru, type GruConfig } from './gru/block.ts';
export { type GruState, type GruWeights, gru } from './gru/gru.ts';
export { defineLinearAttention, type LinearAttentionConfig } from './linear-attention/block.ts';
export { type LinearAttentionOptions, linearAttention } from './linear-attention/linear-attention.ts';
export type { NormalisedOptions } from './linear-attention/normalised-scan.ts';
export { defineLinformer, type LinformerConfig } from './linformer/block.ts';
export { type LinformerOptions, linformer } from './linformer/linformer.ts';
export { defineLowRank, type LowRankConfig } from './low-rank/block.ts';
export { type LowRankOptions, lowRankAttention } from './low-rank/low-rank.ts';
export { defineLstm, type LstmConfig } from './lstm/block.ts';
export { type LstmState, type LstmWeights, lstm } from './lstm/lstm.ts';
export { definePerformer, type PerformerConfig } from './performer/block.ts';
export { performer } from './performer/performer.ts';
export { orthogonalProjection } from './performer/projection.ts';
export { defineReformer, type ReformerConfig } from './reformer/block.ts';
export { type LshAttentionOptions, lshAttention } from './reformer/lsh-attention.ts';
export { defineRetention, type RetentionConfig } from './retention/block.ts';
export { type RetentionOptions, retention } from './retention/retention.ts';
export { defineS4d, type S4dConfig } from './s4d/block.ts';
export type { S4dInitialisation } from './s4d/initial.ts';
export { type S4dKernelOptions, s4dKernel } from './s4d/kernel.ts';
export type { HeadsConfig } from './shared/heads-block.ts';
export type { RecurrenceOptions } from './shared/steps.ts';
export { defineSlidingWindow, type SlidingWindowConfig } from './sliding-window/block.ts';
export { type LongformerOptions, longformer } from './sliding-window/longformer.ts';
export { type StridedAttentionOptions, stridedAttention } from './sliding-window/strided.ts';
export { defineSoftmaxAttention, type SoftmaxAttentionConfig } from './softmax-attention/block.ts';
export { type NaiveAttentionOptions, naiveAttention } from './softmax-attention/naive.ts';
