/**
 * The lowest index of the largest value of each row. NaN counts as the smallest value, and a row of NaN gives 0. One
 * pass over a row finds its maximum, and a second one the first place where it stands.
 */
import { loadPart } from '../lib/lanes';

export function argmax(logits: usize, ids: usize, rows: i32, vocab: i32): void {
  for (let row = 0; row < rows; row++) {
    store<i32>(ids, find(logits, vocab, maximum(logits, vocab)));
    logits += <usize>vocab << 2;
    ids += 4;
  }
}

/** The largest value that is not NaN; -infinity if all are NaN. */
export function maximum(values: usize, count: i32): f32 {
  // pmax(m, x) is m unless m < x, so NaN never enters.
  let m0 = f32x4.splat(-Infinity);
  let m1 = m0;
  let index = 0;
  for (; index + 8 <= count; index += 8) {
    m0 = f32x4.pmax(m0, v128.load(values));
    m1 = f32x4.pmax(m1, v128.load(values, 16));
    values += 32;
  }
  for (; index + 4 <= count; index += 4) {
    m0 = f32x4.pmax(m0, v128.load(values));
    values += 16;
  }
  m0 = f32x4.pmax(m0, m1);
  m0 = f32x4.pmax(m0, v128.shuffle<f32>(m0, m0, 2, 3, 0, 1));
  m0 = f32x4.pmax(m0, v128.shuffle<f32>(m0, m0, 1, 0, 3, 2));
  let largest = f32x4.extract_lane(m0, 0);
  for (; index < count; index++) {
    const value = load<f32>(values);
    if (value > largest) largest = value;
    values += 4;
  }
  return largest;
}

/**
 * The largest magnitude; NaN where a value is NaN, so it is finite only where all values are. Without their signs,
 * floats compare as their bits do as integers.
 */
export function magnitude(values: usize, count: i32): f32 {
  const unsigned = i32x4.splat(0x7fffffff);
  let m0 = i32x4.splat(0);
  let m1 = m0;
  let m2 = m0;
  let m3 = m0;
  let index = 0;
  for (; index + 16 <= count; index += 16) {
    m0 = i32x4.max_s(m0, v128.and(v128.load(values), unsigned));
    m1 = i32x4.max_s(m1, v128.and(v128.load(values, 16), unsigned));
    m2 = i32x4.max_s(m2, v128.and(v128.load(values, 32), unsigned));
    m3 = i32x4.max_s(m3, v128.and(v128.load(values, 48), unsigned));
    values += 64;
  }
  m0 = i32x4.max_s(i32x4.max_s(m0, m1), i32x4.max_s(m2, m3));
  m0 = i32x4.max_s(m0, v128.shuffle<i32>(m0, m0, 2, 3, 0, 1));
  m0 = i32x4.max_s(m0, v128.shuffle<i32>(m0, m0, 1, 0, 3, 2));
  let largest = i32x4.extract_lane(m0, 0);
  for (; index < count; index++) {
    largest = max(largest, load<i32>(values) & 0x7fffffff);
    values += 4;
  }
  return reinterpret<f32>(largest);
}

function find(values: usize, count: i32, wanted: f32): i32 {
  const all = f32x4.splat(wanted);
  for (let index = 0; index < count; index += 4) {
    const rest = count - index;
    let equal = i32x4.bitmask(f32x4.eq(loadPart(values, rest), all));
    if (rest < 4) equal &= (1 << rest) - 1;
    if (equal) return index + ctz(equal);
    values += 16;
  }
  return 0;
}
