import type { Allocation } from '../memory/allocator.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

export function logProb({ heap, wasm }: Context, { logits, ids, rows, vocab }: Call<'logProb'>): Allocation {
  return heap.run((arena) => {
    const y = arena.result(rows * ELEMENT);
    wasm.logProb(addressOf(logits), addressOf(ids), y.address, rows, vocab);
    return y;
  });
}
