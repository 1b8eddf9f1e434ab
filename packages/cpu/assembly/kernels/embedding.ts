/** Gathers rows of `bytes` by int32 ids, which the caller has checked. Reads and writes each gathered row once. */
import { copy } from '../lib/lanes';

export function embedding(table: usize, ids: usize, y: usize, count: i32, bytes: usize): void {
  for (let index = 0; index < count; index++) {
    copy(y, table + <usize>load<u32>(ids) * bytes, bytes);
    ids += 4;
    y += bytes;
  }
}
