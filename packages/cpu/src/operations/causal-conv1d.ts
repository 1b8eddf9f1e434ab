import type { Results } from '@mamba/core/driver';
import type { Block } from '../memory/allocator.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

export function causalConv1d({ heap, wasm }: Context, call: Call<'causalConv1d'>): Results<Block>['causalConv1d'] {
  const { x, weight, bias, initialState, resets, activation, batch, length, dim, width } = call;
  return heap.run((arena) => {
    const rowBytes = length * dim * ELEMENT;
    const stateBytes = dim * (width - 1) * ELEMENT;
    const y = arena.result(batch * rowBytes);
    const lastState = arena.result(batch * stateBytes);
    // Transposed weights, transposed history, a row of zeros, addresses of the rows under the taps.
    const scratch = arena.scratch((2 * width * dim + width) * ELEMENT);
    const state = heap.bytes(lastState, batch * stateBytes);
    if (initialState === undefined) state.fill(0);
    else state.set(heap.bytes(initialState.storage, batch * stateBytes));
    for (let row = 0; row < batch; row++) {
      wasm.causalConv1d(
        x.storage.address + row * rowBytes,
        weight.storage.address,
        addressOf(bias),
        lastState.address + row * stateBytes,
        resets === undefined ? 0 : resets.storage.address + row * length * ELEMENT,
        y.address + row * rowBytes,
        length,
        dim,
        width,
        activation === 'silu' ? 1 : 0,
        scratch.address,
      );
    }
    return { y, lastState };
  });
}
