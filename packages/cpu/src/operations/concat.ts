import type { Allocation } from '../memory/allocator.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

export function concat({ heap, wasm }: Context, { tensors, extents, outer, inner }: Call<'concat'>): Allocation {
  return heap.run((arena) => {
    const stride = extents.reduce((sum, extent) => sum + extent, 0) * inner * ELEMENT;
    const y = arena.result(outer * stride);
    let offset = 0;
    for (const [index, tensor] of tensors.entries()) {
      const bytes = extents[index]! * inner * ELEMENT;
      wasm.concat(addressOf(tensor), y.address + offset, outer, bytes, stride);
      offset += bytes;
    }
    return y;
  });
}
