/**
 * Copies one part, `outer` contiguous pieces of `bytes`, to its place in the result, where the pieces are `yStride`
 * apart.
 */
import { copy } from '../lib/lanes';

export function concat(x: usize, y: usize, outer: i32, bytes: usize, yStride: usize): void {
  for (let index = 0; index < outer; index++) {
    copy(y, x, bytes);
    x += bytes;
    y += yStride;
  }
}
