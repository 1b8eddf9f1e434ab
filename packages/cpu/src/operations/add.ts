import type { Allocation } from '../memory/allocator.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

export function add({ heap, wasm }: Context, { a, b, size }: Call<'add'>): Allocation {
  return heap.run((arena) => {
    const y = arena.result(size * ELEMENT);
    wasm.add(addressOf(a), addressOf(b), y.address, size);
    return y;
  });
}
