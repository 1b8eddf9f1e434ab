/** Helpers for vectors: incomplete ones, sums over lanes, transposition, copies. */

/** Loads the first `count` (1 to 4) floats, with zeros behind them; reads nothing beyond. @inline */
export function loadPart(address: usize, count: i32): v128 {
  if (count >= 4) return v128.load(address);
  return loadShort(address, count);
}

function loadShort(address: usize, count: i32): v128 {
  if (count == 1) return v128.load32_zero(address);
  const two = v128.load64_zero(address);
  return count == 2 ? two : v128.load32_lane(address, two, 2, 8);
}

/** Stores the first `count` (1 to 4) floats; writes nothing beyond. @inline */
export function storePart(address: usize, value: v128, count: i32): void {
  if (count >= 4) v128.store(address, value);
  else storeShort(address, value, count);
}

function storeShort(address: usize, value: v128, count: i32): void {
  if (count == 1) {
    v128.store32_lane(address, value, 0);
    return;
  }
  v128.store64_lane(address, value, 0);
  if (count == 3) v128.store32_lane(address, value, 2, 8);
}

/** @inline */
export function sum(v: v128): f32 {
  const pairs = f32x4.add(v, v128.shuffle<f32>(v, v, 2, 3, 0, 1));
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1);
}

/** The sums of the lanes of a, b, c and d. @inline */
export function sums(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
}

/** Transposes the 4×4 matrix at `from`, whose rows are `fromStride` apart. @inline */
export function transpose(from: usize, fromStride: usize, to: usize, toStride: usize): void {
  const a = v128.load(from);
  const b = v128.load(from + fromStride);
  const c = v128.load(from + 2 * fromStride);
  const d = v128.load(from + 3 * fromStride);
  const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  const abHigh = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  const cdHigh = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<f32>(ab, cd, 0, 1, 4, 5));
  v128.store(to + toStride, v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
  v128.store(to + 2 * toStride, v128.shuffle<f32>(abHigh, cdHigh, 0, 1, 4, 5));
  v128.store(to + 3 * toStride, v128.shuffle<f32>(abHigh, cdHigh, 2, 3, 6, 7));
}

/** Transposes `[rows, columns]` with rows `fromStride` apart to `[columns, rows]` with rows `toStride` apart. */
export function transposeMatrix(
  from: usize, fromStride: usize, rows: i32, columns: i32,
  to: usize, toStride: usize,
): void {
  let row = 0;
  for (; row + 4 <= rows; row += 4) {
    const source = from + <usize>row * fromStride;
    const target = to + (<usize>row << 2);
    let column = 0;
    for (; column + 4 <= columns; column += 4) {
      transpose(source + (<usize>column << 2), fromStride, target + <usize>column * toStride, toStride);
    }
    for (; column < columns; column++) {
      for (let lane: usize = 0; lane < 4; lane++) {
        store<f32>(
          target + <usize>column * toStride + (lane << 2),
          load<f32>(source + lane * fromStride + (<usize>column << 2)),
        );
      }
    }
  }
  for (; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      store<f32>(
        to + <usize>column * toStride + (<usize>row << 2),
        load<f32>(from + <usize>row * fromStride + (<usize>column << 2)),
      );
    }
  }
}

/** Copies `bytes`, a multiple of 4; short pieces are copied without a call of the engine's memmove. @inline */
export function copy(to: usize, from: usize, bytes: usize): void {
  if (bytes >= 512) {
    memory.copy(to, from, bytes);
    return;
  }
  let offset: usize = 0;
  for (; offset + 16 <= bytes; offset += 16) v128.store(to + offset, v128.load(from + offset));
  for (; offset < bytes; offset += 4) store<u32>(to + offset, load<u32>(from + offset));
}
