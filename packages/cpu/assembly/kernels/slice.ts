/** Copies `bytes` from each of `outer` places, which are `xStride` apart, to one contiguous result. */
import { copy } from '../lib/lanes';

export function slice(x: usize, y: usize, outer: i32, bytes: usize, xStride: usize): void {
  for (let index = 0; index < outer; index++) {
    copy(y, x, bytes);
    x += xStride;
    y += bytes;
  }
}
