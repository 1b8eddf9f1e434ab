import type { Block } from '../memory/allocator.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

export function argmax({ heap, wasm }: Context, { logits, rows, vocab }: Call<'argmax'>): Block {
  return heap.run((arena) => {
    const ids = arena.result(rows * ELEMENT);
    wasm.argmax(addressOf(logits), ids.address, rows, vocab);
    return ids;
  });
}
