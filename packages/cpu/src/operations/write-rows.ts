import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

export function writeRows({ wasm }: Context, call: Call<'writeRows'>): void {
  const { target, rows, offsets, offset, batch, capacity, length, channels } = call;
  wasm.writeRows(
    addressOf(target),
    addressOf(rows),
    addressOf(offsets),
    offset,
    batch,
    capacity,
    length,
    channels * ELEMENT,
  );
}
