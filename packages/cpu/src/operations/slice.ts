import type { Allocation } from '../memory/allocator.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

export function slice({ heap, wasm }: Context, { x, start, end, outer, extent, inner }: Call<'slice'>): Allocation {
  return heap.run((arena) => {
    const bytes = (end - start) * inner * ELEMENT;
    const y = arena.result(outer * bytes);
    wasm.slice(addressOf(x) + start * inner * ELEMENT, y.address, outer, bytes, extent * inner * ELEMENT);
    return y;
  });
}
