/**
 * The computations of this package that golden files may name, for `mamba-conformance --golden`: what they read and
 * give under the names of files.
 * @module
 */
import { goldenLinformer, goldenLongformer, goldenLowRank } from './attention.ts';
import type { GoldenComposition } from './composition.ts';
import { goldenGru } from './gru.ts';
import { goldenLinearAttention, goldenPerformer } from './linear-attention.ts';
import { goldenLstm } from './lstm.ts';
import { goldenReformer } from './reformer.ts';
import { goldenRetention } from './retention.ts';
import { goldenS4d } from './s4d.ts';

export type { GoldenComposition } from './composition.ts';

/** The systems of this package by the names that golden files call them by. */
export const goldenCompositions: Readonly<Record<string, GoldenComposition>> = {
  lstm: goldenLstm,
  gru: goldenGru,
  s4d: goldenS4d,
  retention: goldenRetention,
  linear_attention: goldenLinearAttention,
  performer: goldenPerformer,
  linformer: goldenLinformer,
  low_rank_attention: goldenLowRank,
  longformer: goldenLongformer,
  lsh_attention: goldenReformer,
};
