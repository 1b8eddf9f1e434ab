/** y = a + b over `count` floats, in one pass of two reads and one write. */
import { loadPart, storePart } from '../lib/lanes';

export function add(a: usize, b: usize, y: usize, count: i32): void {
  let index = 0;
  for (; index + 8 <= count; index += 8) {
    v128.store(y, f32x4.add(v128.load(a), v128.load(b)));
    v128.store(y, f32x4.add(v128.load(a, 16), v128.load(b, 16)), 16);
    a += 32;
    b += 32;
    y += 32;
  }
  for (; index < count; index += 4) {
    const rest = count - index;
    storePart(y, f32x4.add(loadPart(a, rest), loadPart(b, rest)), rest);
    a += 16;
    b += 16;
    y += 16;
  }
}
