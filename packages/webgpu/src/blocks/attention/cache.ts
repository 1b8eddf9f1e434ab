/** The cache of an attention block, as tensors of core. */
import { MambaError, type Shape, sizeOf } from '@mamba/core';
import {
  type Appended,
  attentionState,
  type BlockState,
  extendRows,
  type FusionContext,
  kvHeadsOf,
  type Scope,
  type SlotMemory,
} from '@mamba/core/driver';
import type { Gpu } from '../../gpu/gpu.ts';
import { bindingRefusal } from '../../gpu/limits.ts';
import type { BufferRange } from '../../gpu/shader.ts';
import { rangeOf, type Storage, unsplitStorage } from '../../storage.ts';
import type { AttentionBlock } from './block.ts';

/** Room for `length` new rows of each row of the batch, in the caches of a state or in new ones. */
export function extendCache(
  { kernels, context, config }: AttentionBlock,
  scope: Scope,
  state: BlockState | undefined,
  [batch, length]: readonly [number, number],
  positions: readonly number[],
): Appended {
  const [slot] = attentionState(config);
  const shape = [batch, length, kvHeadsOf(config) * config.headDim];
  return extendRows(scope, slot!, [state?.k, state?.v], shape, positions, slotMemory(kernels.gpu, context));
}

/** Memory of the cache: nothing fills it, and rows are copied where it has to grow. */
function slotMemory(gpu: Gpu, context: FusionContext<Storage>): SlotMemory {
  return {
    allocate: (shape: Shape) => {
      const reason = bindingRefusal(gpu, 'the cache', sizeOf(shape));
      if (reason !== undefined)
        throw new MambaError('unsupported', `webgpu cannot run this call: ${reason}`, {
          origin: 'block.forward',
          given: `a cache [${shape.join(', ')}]`,
          remedy: 'Take fewer rows at once, or a model with a window.',
        });
      const buffer = gpu.allocating((allocator) => allocator.result(4 * sizeOf(shape), 'cache'));
      return context.tensor(unsplitStorage(buffer), { shape, dtype: 'float32' });
    },
    copyRows(from, to, first, count) {
      const [source, target] = [from, to].map((tensor) => rangeOf(context.device(tensor))) as [
        BufferRange,
        BufferRange,
      ];
      const bytes = 4 * sizeOf(to.shape.slice(2));
      for (let row = 0; row < to.shape[0]!; row++)
        gpu.recorder.copy(
          source.buffer,
          source.offset + (row * from.shape[1]! + first) * bytes,
          target.buffer,
          target.offset + row * to.shape[1]! * bytes,
          count * bytes,
        );
    },
  };
}
