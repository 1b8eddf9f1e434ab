import type { Allocation } from '../memory/allocator.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

export function argsort({ heap, wasm }: Context, { keys, rows, length }: Call<'argsort'>): Allocation {
  return heap.run((arena) => {
    const order = arena.result(rows * length * ELEMENT);
    const spare = arena.scratch(length * ELEMENT);
    wasm.argsort(addressOf(keys), order.address, spare.address, rows, length);
    return order;
  });
}
