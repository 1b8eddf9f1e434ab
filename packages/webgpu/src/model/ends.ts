/** The ends of a model: the embedding, and the final norm with the head. */
import type { ModelConfig } from '@mamba/core/driver';
import { wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { gatherRows } from '../operations/embedding.ts';
import type { KernelContext } from '../operations/kernel-context.ts';
import { project, VECTOR_ROWS } from '../operations/linear.ts';
import { normalise } from '../operations/rms-norm.ts';
import type { Storage } from '../storage.ts';

/** The weights of both ends. */
export interface Ends {
  readonly kernels: KernelContext;
  readonly config: ModelConfig;
  readonly embedding: Storage;
  readonly finalNorm: BufferRange;
  readonly head: Storage;
}

export function embed(
  { kernels: { gpu }, config, embedding }: Ends,
  ids: BufferRange,
  count: number,
  y: BufferRange,
): void {
  const { dModel, vocabSize } = config;
  gatherRows(gpu, embedding, { tableRows: vocabSize, ids, idRow: 1, idOffset: 0, count, channels: dModel, y });
}

interface LogitsCall {
  readonly x: BufferRange;
  /** Whether x has been through the final norm already. */
  readonly normed: boolean;
  /** The last of every `stride` rows of x gets logits. */
  readonly stride: number;
  /** Number of rows of logits. */
  readonly rows: number;
  readonly y: BufferRange;
}

export function writeLogits(
  { kernels, config, finalNorm, head }: Ends,
  { x, normed, stride, rows, y }: LogitsCall,
): void {
  const { gpu } = kernels;
  const { dModel, vocabSize, normEps: eps } = config;
  const strides = { xRow: stride * dModel, xOffset: (stride - 1) * dModel };
  const projection = { rows, inputs: dModel, outputs: vocabSize, y };
  if (normed) {
    project(kernels, head, { x, ...strides, ...projection });
  } else if (rows <= VECTOR_ROWS) {
    project(kernels, head, { x, ...strides, ...projection, norm: { weight: finalNorm, eps } });
  } else {
    gpu.allocating((allocator) => {
      const dense = wholeRange(allocator.scratch(4 * rows * dModel, 'normed'));
      normalise(gpu, { x, weight: finalNorm, y: dense, rows, channels: dModel, ...strides, eps });
      project(kernels, head, { x: dense, ...projection });
    });
  }
}
