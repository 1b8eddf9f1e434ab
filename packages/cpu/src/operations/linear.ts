import type { Block } from '../memory/allocator.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

/** Up to here reading the weights once, unpacked, is the faster way. */
const FEW_ROWS = 8;
/** `linearMany`'s packed block of 96 outputs by 512 inputs, a tile of 5 by 8, and eight zeros. */
const PACKED_BYTES = (96 * 512 + 48) * ELEMENT;
/** `linearFew`'s partial sums: two vectors for each of four rows. */
const PARTIAL_SUMS = 8 * 16;

export function linear({ heap, wasm }: Context, call: Call<'linear'>): Block {
  const { x, weight, bias, rows, inputs, outputs } = call;
  return heap.run((arena) => {
    const y = arena.result(rows * outputs * ELEMENT);
    const [from, matrix, added, to] = [x.storage.address, weight.storage.address, addressOf(bias), y.address];
    if (rows <= FEW_ROWS) {
      const sums = arena.scratch(PARTIAL_SUMS);
      wasm.linearFew(from, matrix, added, to, rows, inputs, outputs, 0, outputs, sums.address);
    } else {
      const packed = arena.scratch(PACKED_BYTES);
      wasm.linearMany(from, matrix, added, to, rows, inputs, outputs, 0, outputs, packed.address);
    }
    return y;
  });
}
