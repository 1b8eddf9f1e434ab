import { kvHeadsOf } from '@mamba/core/driver';
import { attentionPlace } from '../../generated/index.ts';
import type { Allocator } from '../../gpu/gpu.ts';
import type { BufferRange } from '../../gpu/shader.ts';
import type { AttentionBlock } from './block.ts';

export interface PlaceCall {
  readonly batch: number;
  readonly length: number;
  /** Rows of a cache. */
  readonly capacity: number;
  /** The row of the cache for the first token, and its position; without meaning where there are `places`. */
  readonly row: number;
  readonly position: number;
  /** int32 `[2, batch]`: the same for each row of the batch; undefined where all have the same. */
  readonly places: BufferRange | undefined;
  /** `[batch, length, heads + 2 kvHeads, headDim]`: the products. */
  readonly x: BufferRange;
  readonly q: BufferRange;
  /** The caches. */
  readonly k: BufferRange;
  readonly v: BufferRange;
}

/** Heads of a workgroup of attention-place.wgsl. */
const HEADS = 2;

/** Dispatches norms and positions of q and k, and writes k and v to their caches. */
export function place(
  { kernels, config, weights, frequencies }: AttentionBlock,
  allocator: Allocator,
  call: PlaceCall,
): void {
  const { gpu, turns } = kernels;
  const { heads, headDim, rope, qkNormEps: eps = 0 } = config;
  const { batch, length, capacity, row, position, places, x, q, k, v } = call;
  const kvHeads = kvHeadsOf(config);
  const tokens = batch * length;
  const pairs = frequencies.length;
  gpu.dispatch(attentionPlace, {
    overrides: { PLACED: places !== undefined, NORM: weights.norms !== undefined },
    bindings: {
      x,
      norms: weights.norms ?? gpu.unusedInput,
      turns: pairs === 0 ? gpu.unusedInput : turns.of(allocator, frequencies),
      places: places ?? gpu.unusedInput,
      ...{ q, k, v },
    },
    uniforms: {
      ...{ tokens, length, heads, kvHeads, headDim, pairs, capacity, row, position, eps },
      interleaved: +(rope?.interleaved ?? false),
    },
    workgroups: gpu.grid(Math.ceil((tokens * (heads + 2 * kvHeads)) / HEADS)),
  });
}
