/** The kernels of an attention block, on memory that is given. */
import type { DeviceTensor } from '@mamba/core/driver';
import type { BufferRange } from '../../gpu/shader.ts';
import { attend } from '../../operations/attention.ts';
import { project } from '../../operations/linear.ts';
import { projectWithNorm } from '../../operations/linear-normed.ts';
import type { PlacesOnDevice } from '../../operations/places.ts';
import { rangeOf, type Storage, unsplitStorage } from '../../storage.ts';
import type { BufferSize, BufferSizes, Buffers } from '../buffers.ts';
import type { NormsOfStep } from '../fused-block.ts';
import { normedInput, normsApart } from '../normed-input.ts';
import { type AttentionBlock, callOf, widthOf } from './block.ts';
import { place } from './place.ts';

/** Activations: the products, q after its norm and positions, its results, and what attention notes of them. */
type Name = 'qkv' | 'q' | 'mixed' | 'logSumExp' | 'normed';

/** A block's part in a call, with the caches that it writes to. */
export interface AttentionMemory extends NormsOfStep {
  /** Those of `attentionBuffers`, or larger. */
  readonly buffers: Buffers;
  readonly batch: number;
  readonly length: number;
  /** `[batch, length, dModel]` */
  readonly x: BufferRange;
  /** `[batch, length, dModel]`; it may be x. */
  readonly y: BufferRange;
  /** Whether the output is added to y. */
  readonly accumulate: boolean;
  /** The caches, `[batch, capacity, kvHeads * headDim]`. */
  readonly k: DeviceTensor<Storage>;
  readonly v: DeviceTensor<Storage>;
  /** The number of rows of a cache that may be looked at: all, unless the batch has a single row. */
  readonly keys: number;
  /** The row of the caches for the first token, and its position; without meaning where there are `places`. */
  readonly row: number;
  readonly position: number;
  /** The same for each row of the batch; undefined where all have the same. */
  readonly places: PlacesOnDevice | undefined;
  /** The `reach` of the operation `attention`; undefined where every row is one sequence. */
  readonly reach: DeviceTensor<Storage> | undefined;
}

/** Sizes of the activations of a call of `rows` rows (batch · length). */
export function attentionBuffers({ config, dModel, norm }: AttentionBlock, rows: number): BufferSizes<Name> {
  const { heads, headDim } = config;
  const floats = (elements: number, label: string): BufferSize => ({ bytes: 4 * rows * elements, label });
  return {
    qkv: floats(widthOf(config), 'q, k and v'),
    q: floats(heads * headDim, 'q'),
    mixed: floats(heads * headDim, 'attention y'),
    logSumExp: floats(heads, 'attention logSumExp'),
    normed: floats(normsApart(norm, rows) ? dModel : 0, 'normed'),
  };
}

/** Dispatches the kernels of a call. Returns whether `next` is written. */
export function dispatchAttention(block: AttentionBlock, memory: AttentionMemory): boolean {
  const { kernels, config, dModel, norm, weights } = block;
  const { gpu } = kernels;
  const { batch, length, x, y, accumulate, k, v, keys, row, position, places, reach } = memory;
  const inner = config.heads * config.headDim;
  const width = widthOf(config);
  const rows = batch * length;
  return gpu.allocating((allocator) => {
    const { qkv, q, mixed, logSumExp, normed } = memory.buffers as Buffers<Name>;
    const input = normedInput(kernels, memory.norm ?? norm, { x, rows, dModel, given: memory.normed, normed });
    for (const { weight, first, outputs } of weights.inputs)
      project(kernels, weight, {
        ...input,
        ...{ rows, inputs: dModel, outputs, bias: weights.bias, y: qkv, yRow: width, yOffset: first },
      });
    place(block, allocator, {
      ...{ batch, length, capacity: k.shape[1]!, row, position, places: places?.range },
      ...{ x: qkv, q, k: rangeOf(k), v: rangeOf(v) },
    });
    attend(
      kernels,
      allocator,
      {
        ...callOf(config, { batch, length, keys, offset: row }),
        q: { shape: [batch, length, inner], dtype: 'float32', storage: unsplitStorage(q) },
        ...{ k, v, offsets: places?.offsets, reach, segments: undefined, keyLengths: undefined },
      },
      { y: mixed, results: logSumExp },
    );
    const product = { x: mixed, rows, inputs: inner, outputs: dModel, bias: weights.outProjBias, y, accumulate };
    return projectWithNorm(kernels, weights.outProj, product, memory.next);
  });
}
