/** The kernels of an attention block, on memory that is given. */
import type { DeviceTensor } from '@mamba/core/driver';
import { wholeRange } from '../../gpu/gpu.ts';
import type { BufferRange } from '../../gpu/shader.ts';
import { attend } from '../../operations/attention.ts';
import { project } from '../../operations/linear.ts';
import { projectWithNorm } from '../../operations/linear-normed.ts';
import type { PlacesOnDevice } from '../../operations/places.ts';
import { rangeOf, type Storage, unsplitStorage } from '../../storage.ts';
import type { NormsOfStep } from '../fused-block.ts';
import { normedInput, normsApart } from '../normed-input.ts';
import { type AttentionBlock, callOf, widthOf } from './block.ts';
import { place } from './place.ts';

/** A block's part in a call, with the caches that it writes to. */
export interface AttentionMemory extends NormsOfStep {
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

/** Dispatches the kernels of a call. Returns whether `next` is written. */
export function dispatchAttention(block: AttentionBlock, memory: AttentionMemory): boolean {
  const { kernels, config, dModel, norm, weights } = block;
  const { gpu } = kernels;
  const { batch, length, x, y, accumulate, k, v, keys, row, position, places, reach } = memory;
  const inner = config.heads * config.headDim;
  const width = widthOf(config);
  const rows = batch * length;
  return gpu.allocating((allocator) => {
    const floats = (count: number, label: string): BufferRange =>
      wholeRange(allocator.scratch(4 * rows * count, label));
    const qkv = floats(width, 'q, k and v');
    const q = allocator.scratch(4 * rows * inner, 'q');
    const apart = memory.normed === undefined && normsApart(norm, rows);
    const normed = floats(apart ? dModel : 0, 'normed');
    const input = normedInput(kernels, norm, { x, rows, dModel, given: memory.normed, normed });
    for (const { weight, first, outputs } of weights.inputs)
      project(kernels, weight, {
        ...input,
        ...{ rows, inputs: dModel, outputs, bias: weights.bias, y: qkv, yRow: width, yOffset: first },
      });
    place(block, allocator, {
      ...{ batch, length, capacity: k.shape[1]!, row, position, places: places?.range },
      ...{ x: qkv, q: wholeRange(q), k: rangeOf(k), v: rangeOf(v) },
    });
    const mixed = floats(inner, 'attention y');
    attend(
      kernels,
      allocator,
      {
        ...callOf(config, { batch, length, keys, offset: row }),
        q: { shape: [batch, length, inner], dtype: 'float32', storage: unsplitStorage(q) },
        ...{ k, v, offsets: places?.offsets, reach, segments: undefined, keyLengths: undefined },
      },
      { y: mixed, results: floats(config.heads, 'attention logSumExp') },
    );
    const product = { x: mixed, rows, inputs: inner, outputs: dModel, bias: weights.outProjBias, y, accumulate };
    return projectWithNorm(kernels, weights.outProj, product, memory.next);
  });
}
