/** The ends of a model: the embedding, and the final norm with the head. */
import type { ModelConfig } from '@mamba/core/driver';
import { wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { gatherRows } from '../operations/embedding.ts';
import type { KernelContext } from '../operations/kernel-context.ts';
import { project, VECTOR_ROWS } from '../operations/linear.ts';
import type { Norms } from '../operations/linear-normed.ts';
import { normalise } from '../operations/rms-norm.ts';
import type { Storage } from '../storage.ts';

/** The weights of both ends. */
export interface Ends {
  readonly kernels: KernelContext;
  readonly config: ModelConfig;
  readonly embedding: Storage;
  /** The table of positions; undefined where there is none. */
  readonly positions?: Storage | undefined;
  readonly finalNorm: Norms;
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

/** Adds the rows of the table of positions, where the model has one. `places` are the positions of all rows. */
export function addPositions(
  { kernels: { gpu }, config, positions }: Ends,
  places: { readonly ids: BufferRange; readonly idOffset: number },
  count: number,
  y: BufferRange,
): void {
  if (positions === undefined) return;
  const { dModel: channels, positions: tableRows = 0 } = config;
  gatherRows(gpu, positions, { ...places, tableRows, idRow: 1, count, channels, y, accumulate: true });
}

interface LogitsCall {
  readonly x: BufferRange;
  /** Whether x has been through the final norm already; it must have, if that is a LayerNorm. */
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
  const { dModel, vocabSize } = config;
  const strides = { xRow: stride * dModel, xOffset: (stride - 1) * dModel };
  const projection = { rows, inputs: dModel, outputs: vocabSize, y };
  if (normed) {
    project(kernels, head, { x, ...strides, ...projection });
  } else if (rows <= VECTOR_ROWS) {
    project(kernels, head, { x, ...strides, ...projection, norm: finalNorm });
  } else {
    gpu.allocating((allocator) => {
      const dense = wholeRange(allocator.scratch(4 * rows * dModel, 'normed'));
      normalise(gpu, { ...finalNorm, x, y: dense, rows, channels: dModel, ...strides });
      project(kernels, head, { x: dense, ...projection });
    });
  }
}
