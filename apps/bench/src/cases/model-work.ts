/** Counts the least work of a model, and tells the extents that a report gives for it. */
import type { ModelConfig } from '@mamba/core';
import { blockWork } from '../blocks/work.ts';
import type { Work } from './work.ts';

/** The extents of a model by which its results are told apart. */
export function modelShape({ blocks, dModel, vocabSize }: ModelConfig) {
  return { layers: blocks.length, dModel, vocabSize };
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
  { batch = 1, bytesPerWeight = bytesPerValue }: { batch?: number; bytesPerWeight?: number } = {},
): Work {
  const { blocks, dModel, vocabSize } = config;
  const head = { operations: 2 * vocabSize * dModel, bytes: vocabSize * dModel * bytesPerWeight };
  let operations = heads * head.operations;
  let bytes = heads > 0 ? head.bytes : 0;
  for (const block of blocks) {
    const work = blockWork(block, { dModel, tokens, batch, bytesPerValue, bytesPerWeight });
    // A norm takes about four operations a value, the residual one.
    operations += work.operations + 5 * tokens * dModel;
    bytes += work.bytes;
  }
  return { operations, bytes: Math.round(bytes) };
}
