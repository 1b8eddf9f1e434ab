import type { Block } from '../memory/allocator.ts';
import { type Call, type Context, ELEMENT } from './context.ts';

export function embedding({ heap, wasm }: Context, { table, ids, count, channels }: Call<'embedding'>): Block {
  return heap.run((arena) => {
    const bytes = channels * ELEMENT;
    const y = arena.result(count * bytes);
    wasm.embedding(table.storage.address, ids.storage.address, y.address, count, bytes);
    return y;
  });
}
