import type { WriteRowsCall } from '@mamba/core/driver';
import { floats, type Input, integers } from '../storage.ts';

/** `target[b, offset + t] = rows[b, t]`, where that row exists. */
export function writeRows({ target, rows, ...call }: WriteRowsCall<Input>): void {
  const { offset, batch, capacity, length, channels } = call;
  const [to, from] = [floats(target), floats(rows)];
  const offsets = integers(call.offsets);
  for (let b = 0; b < batch; b++)
    for (let t = 0; t < length; t++) {
      const row = (offsets?.[b] ?? offset) + t;
      if (row < 0 || row >= capacity) continue;
      const source = (b * length + t) * channels;
      to.set(from.subarray(source, source + channels), (b * capacity + row) * channels);
    }
}
