/**
 * Counts the least work of a block and of a model, and tells the extents that a report gives for them. No other case reads
 * the fields of a configuration.
 */
import type { BlockConfig, ModelConfig } from '@mamba/core';
import { SILU, scanWork, type Work } from './work.ts';

/** The extents of a model by which its results are told apart. */
export function modelShape({ layers, dModel, vocabSize }: ModelConfig) {
  return { layers, dModel, vocabSize };
}

/** The extents of a block by which its results are told apart. */
export function blockShape({ dModel, dInner, dState }: BlockConfig) {
  return { dModel, dInner, dState };
}

/** A block over `tokens` rows of `batch` sequences in all: its weights once, its input, output and states. */
export function blockWork(
  config: BlockConfig,
  tokens: number,
  bytesPerValue: number,
  { batch = 1, bytesPerWeight = bytesPerValue }: { batch?: number; bytesPerWeight?: number } = {},
): Work {
  const { dModel, dInner, dState, dConv, dtRank } = config;
  const matrices = 2 * dInner * dModel + (dtRank + 2 * dState) * dInner + dInner * dtRank + dModel * dInner;
  const vectors = dInner * (dConv + 1) + dInner * (dState + 2);
  const state = batch * dInner * (dConv - 1 + dState);
  const scan = scanWork({ batch: 1, length: tokens, dim: dInner, state: dState }, 0).operations;
  return {
    operations: tokens * (2 * matrices + dInner * (2 * dConv + SILU)) + scan,
    bytes: matrices * bytesPerWeight + (vectors + 2 * state + 2 * tokens * dModel) * bytesPerValue,
  };
}

/**
 * A model over `tokens` tokens of which `heads` get logits. Everything but the rows of an untied embedding is read
 * once.
 */
export function modelWork(
  config: ModelConfig,
  tokens: number,
  heads: number,
  bytesPerValue: number,
  options: { batch?: number; bytesPerWeight?: number } = {},
): Work {
  const { layers, dModel, vocabSize } = config;
  const { bytesPerWeight = bytesPerValue } = options;
  const block = blockWork(config, tokens, bytesPerValue, options);
  return {
    // A norm takes about four operations a value, the residual one.
    operations: layers * (block.operations + 5 * tokens * dModel) + heads * 2 * vocabSize * dModel,
    bytes: Math.round(layers * block.bytes + (heads > 0 ? vocabSize * dModel * bytesPerWeight : 0)),
  };
}
