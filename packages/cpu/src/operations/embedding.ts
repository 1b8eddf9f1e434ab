import type { Allocation } from '../memory/allocator.ts';
import { layoutNumber } from '../memory/storage.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

export function embedding({ heap, wasm }: Context, { table, ids, count, channels }: Call<'embedding'>): Allocation {
  return heap.run((arena) => {
    const y = arena.result(count * channels * ELEMENT);
    wasm.embedding(table.storage.address, layoutNumber(table.storage), addressOf(ids), y.address, count, channels);
    return y;
  });
}
