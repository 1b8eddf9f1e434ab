import type { Allocation } from '../memory/allocator.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

export function argmax({ heap, wasm }: Context, { logits, rows, vocab, checked }: Call<'argmax'>): Allocation {
  return heap.run((arena) => {
    const ids = arena.result(rows * ELEMENT);
    wasm.argmax(addressOf(logits), ids.address, rows, vocab);
    const chosen = heap.integers(ids, rows);
    for (let row = 0; checked === true && row < rows; row++)
      if (!decides(wasm, addressOf(logits) + row * vocab * ELEMENT, vocab)) chosen[row] = -1;
    return ids;
  });
}

/** Whether a row of logits decides a token, that is, whether all of it is finite. */
export function decides(wasm: Context['wasm'], address: number, vocab: number): boolean {
  return Number.isFinite(wasm.magnitude(address, vocab));
}
