/** Writes rows `[batch, length, channels]` to a target `[batch, capacity, channels]`, where they exist there. */
import { copy } from '../lib/lanes';

export function writeRows(
  target: usize, rows: usize, offsets: usize, offset: i32, batch: i32, capacity: i32, length: i32, bytes: usize,
): void {
  for (let b = 0; b < batch; b++) {
    const start = offsets == 0 ? offset : load<i32>(offsets + (<usize>b << 2));
    for (let t = 0; t < length; t++) {
      const row = <i64>start + <i64>t;
      if (row < 0 || row >= <i64>capacity) continue;
      const to = target + (<usize>b * <usize>capacity + <usize>row) * bytes;
      copy(to, rows + (<usize>b * <usize>length + <usize>t) * bytes, bytes);
    }
  }
}
