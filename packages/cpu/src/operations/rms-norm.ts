import type { Allocation } from '../memory/allocator.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

export function rmsNorm({ heap, wasm }: Context, { x, weight, eps, rows, channels }: Call<'rmsNorm'>): Allocation {
  return heap.run((arena) => {
    const y = arena.result(rows * channels * ELEMENT);
    wasm.rmsNorm(addressOf(x), addressOf(weight), y.address, rows, channels, eps);
    return y;
  });
}
