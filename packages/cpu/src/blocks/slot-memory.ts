import { type FusionContext, type SlotMemory, sizeOf } from '@mamba/core/driver';
import type { Heap } from '../memory/heap.ts';
import type { Storage } from '../memory/storage.ts';
import { ELEMENT, type Stored } from '../operations/context.ts';

/** Memory of slots that grow: nothing fills it, and rows are copied where it has to be larger. */
export function slotMemory(heap: Heap, fusion: FusionContext<Storage>): SlotMemory {
  return {
    allocate: (shape) => fusion.tensor(heap.allocate(sizeOf(shape) * ELEMENT), { shape, dtype: 'float32' }),
    copyRows(from, to, first, count) {
      const [source, target] = [from, to].map((tensor) => fusion.device(tensor)) as [Stored, Stored];
      const channels = sizeOf(to.shape.slice(2));
      const [before, after] = [source, target].map(({ storage, shape }) => heap.floats(storage, sizeOf(shape))) as [
        Float32Array,
        Float32Array,
      ];
      for (let row = 0; row < to.shape[0]!; row++) {
        const begin = (row * from.shape[1]! + first) * channels;
        after.set(before.subarray(begin, begin + count * channels), row * to.shape[1]! * channels);
      }
    },
  };
}
