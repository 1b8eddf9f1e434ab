/**
 * Tiles of y = base + x · panel, for `depth` inputs (1 at least) of packed rows `[depth, rows]` and of a float32 panel
 * `[depth, 16]`.
 *
 * Sums start from `base` and are only stored after the loop: if anything else were done with them there, V8 would spill
 * them inside the loop, at half the speed. Three of V8's fifteen 128-bit registers hold two vectors of the panel and a
 * broadcast of x, and a fourth one holds the product where multiply-add is not fused. So there are two forms:
 * - narrow: 5 rows by half a panel, 6 where multiply-add is fused, which are ten or twelve sums for seven or eight
 *   loads;
 * - wide: 6 rows by a panel, as pairs of neighbouring vectors that V8's revectorisation turns into twelve 256-bit sums.
 */
import { madd } from '../lib/madd';

export const NARROW_ROWS = ASC_FEATURE_RELAXED_SIMD ? 6 : 5;
export const WIDE_ROWS = 6;
/** Rows of the larger form. */
export const MOST_ROWS = 6; // host

/** The number of rows of a tile. */
export function tileRows(wide: i32): i32 {
  return wide ? WIDE_ROWS : NARROW_ROWS;
}

/** One tile of a whole panel, in the form that the engine takes. @inline */
export function multiplyTile(
  wide: i32, x: usize, panel: usize, depth: i32, base: usize, baseStride: usize, y: usize, yStride: usize,
): void {
  if (wide) {
    wideTile(x, panel, depth, base, baseStride, y, yStride);
  } else {
    narrowTile(x, panel, depth, base, baseStride, y, yStride);
    narrowTile(x, panel + 32, depth, base + 32, baseStride, y + 32, yStride);
  }
}

/** @inline */
export function narrowTile(
  x: usize, panel: usize, depth: i32, base: usize, baseStride: usize, y: usize, yStride: usize,
): void {
  if (ASC_FEATURE_RELAXED_SIMD) sixRows(x, panel, depth, base, baseStride, y, yStride);
  else fiveRows(x, panel, depth, base, baseStride, y, yStride);
}

/**
 * The first input stands before the loop, so that V8 forms the addresses of x's broadcasts there and keeps them, which
 * saves 5 % of the time.
 */
function fiveRows(
  x: usize, panel: usize, depth: i32, base: usize, baseStride: usize, y: usize, yStride: usize,
): void {
  let a0 = v128.load(base);
  let b0 = v128.load(base, 16);
  base += baseStride;
  let a1 = v128.load(base);
  let b1 = v128.load(base, 16);
  base += baseStride;
  let a2 = v128.load(base);
  let b2 = v128.load(base, 16);
  base += baseStride;
  let a3 = v128.load(base);
  let b3 = v128.load(base, 16);
  base += baseStride;
  let a4 = v128.load(base);
  let b4 = v128.load(base, 16);
  const end = panel + (<usize>depth << 6);
  {
    const w0 = v128.load(panel);
    const w1 = v128.load(panel, 16);
    let v = v128.load32_splat(x);
    a0 = madd(v, w0, a0);
    b0 = madd(v, w1, b0);
    v = v128.load32_splat(x, 4);
    a1 = madd(v, w0, a1);
    b1 = madd(v, w1, b1);
    v = v128.load32_splat(x, 8);
    a2 = madd(v, w0, a2);
    b2 = madd(v, w1, b2);
    v = v128.load32_splat(x, 12);
    a3 = madd(v, w0, a3);
    b3 = madd(v, w1, b3);
    v = v128.load32_splat(x, 16);
    a4 = madd(v, w0, a4);
    b4 = madd(v, w1, b4);
  }
  x += 20;
  for (panel += 64; panel < end; panel += 64) {
    const w0 = v128.load(panel);
    const w1 = v128.load(panel, 16);
    let v = v128.load32_splat(x);
    a0 = madd(v, w0, a0);
    b0 = madd(v, w1, b0);
    v = v128.load32_splat(x, 4);
    a1 = madd(v, w0, a1);
    b1 = madd(v, w1, b1);
    v = v128.load32_splat(x, 8);
    a2 = madd(v, w0, a2);
    b2 = madd(v, w1, b2);
    v = v128.load32_splat(x, 12);
    a3 = madd(v, w0, a3);
    b3 = madd(v, w1, b3);
    v = v128.load32_splat(x, 16);
    a4 = madd(v, w0, a4);
    b4 = madd(v, w1, b4);
    x += 20;
  }
  v128.store(y, a0);
  v128.store(y, b0, 16);
  y += yStride;
  v128.store(y, a1);
  v128.store(y, b1, 16);
  y += yStride;
  v128.store(y, a2);
  v128.store(y, b2, 16);
  y += yStride;
  v128.store(y, a3);
  v128.store(y, b3, 16);
  y += yStride;
  v128.store(y, a4);
  v128.store(y, b4, 16);
}

function sixRows(
  x: usize, panel: usize, depth: i32, base: usize, baseStride: usize, y: usize, yStride: usize,
): void {
  let a0 = v128.load(base);
  let b0 = v128.load(base, 16);
  base += baseStride;
  let a1 = v128.load(base);
  let b1 = v128.load(base, 16);
  base += baseStride;
  let a2 = v128.load(base);
  let b2 = v128.load(base, 16);
  base += baseStride;
  let a3 = v128.load(base);
  let b3 = v128.load(base, 16);
  base += baseStride;
  let a4 = v128.load(base);
  let b4 = v128.load(base, 16);
  base += baseStride;
  let a5 = v128.load(base);
  let b5 = v128.load(base, 16);
  for (const end = panel + (<usize>depth << 6); panel < end; panel += 64) {
    const w0 = v128.load(panel);
    const w1 = v128.load(panel, 16);
    let v = v128.load32_splat(x);
    a0 = madd(v, w0, a0);
    b0 = madd(v, w1, b0);
    v = v128.load32_splat(x, 4);
    a1 = madd(v, w0, a1);
    b1 = madd(v, w1, b1);
    v = v128.load32_splat(x, 8);
    a2 = madd(v, w0, a2);
    b2 = madd(v, w1, b2);
    v = v128.load32_splat(x, 12);
    a3 = madd(v, w0, a3);
    b3 = madd(v, w1, b3);
    v = v128.load32_splat(x, 16);
    a4 = madd(v, w0, a4);
    b4 = madd(v, w1, b4);
    v = v128.load32_splat(x, 20);
    a5 = madd(v, w0, a5);
    b5 = madd(v, w1, b5);
    x += 24;
  }
  v128.store(y, a0);
  v128.store(y, b0, 16);
  y += yStride;
  v128.store(y, a1);
  v128.store(y, b1, 16);
  y += yStride;
  v128.store(y, a2);
  v128.store(y, b2, 16);
  y += yStride;
  v128.store(y, a3);
  v128.store(y, b3, 16);
  y += yStride;
  v128.store(y, a4);
  v128.store(y, b4, 16);
  y += yStride;
  v128.store(y, a5);
  v128.store(y, b5, 16);
}

export function wideTile(
  x: usize, panel: usize, depth: i32, base: usize, baseStride: usize, y: usize, yStride: usize,
): void {
  let a0 = v128.load(base);
  let b0 = v128.load(base, 16);
  let c0 = v128.load(base, 32);
  let d0 = v128.load(base, 48);
  base += baseStride;
  let a1 = v128.load(base);
  let b1 = v128.load(base, 16);
  let c1 = v128.load(base, 32);
  let d1 = v128.load(base, 48);
  base += baseStride;
  let a2 = v128.load(base);
  let b2 = v128.load(base, 16);
  let c2 = v128.load(base, 32);
  let d2 = v128.load(base, 48);
  base += baseStride;
  let a3 = v128.load(base);
  let b3 = v128.load(base, 16);
  let c3 = v128.load(base, 32);
  let d3 = v128.load(base, 48);
  base += baseStride;
  let a4 = v128.load(base);
  let b4 = v128.load(base, 16);
  let c4 = v128.load(base, 32);
  let d4 = v128.load(base, 48);
  base += baseStride;
  let a5 = v128.load(base);
  let b5 = v128.load(base, 16);
  let c5 = v128.load(base, 32);
  let d5 = v128.load(base, 48);
  for (const end = panel + (<usize>depth << 6); panel < end; panel += 64) {
    const w0 = v128.load(panel);
    const w1 = v128.load(panel, 16);
    const w2 = v128.load(panel, 32);
    const w3 = v128.load(panel, 48);
    let v = v128.load32_splat(x);
    a0 = madd(v, w0, a0);
    b0 = madd(v, w1, b0);
    c0 = madd(v, w2, c0);
    d0 = madd(v, w3, d0);
    v = v128.load32_splat(x, 4);
    a1 = madd(v, w0, a1);
    b1 = madd(v, w1, b1);
    c1 = madd(v, w2, c1);
    d1 = madd(v, w3, d1);
    v = v128.load32_splat(x, 8);
    a2 = madd(v, w0, a2);
    b2 = madd(v, w1, b2);
    c2 = madd(v, w2, c2);
    d2 = madd(v, w3, d2);
    v = v128.load32_splat(x, 12);
    a3 = madd(v, w0, a3);
    b3 = madd(v, w1, b3);
    c3 = madd(v, w2, c3);
    d3 = madd(v, w3, d3);
    v = v128.load32_splat(x, 16);
    a4 = madd(v, w0, a4);
    b4 = madd(v, w1, b4);
    c4 = madd(v, w2, c4);
    d4 = madd(v, w3, d4);
    v = v128.load32_splat(x, 20);
    a5 = madd(v, w0, a5);
    b5 = madd(v, w1, b5);
    c5 = madd(v, w2, c5);
    d5 = madd(v, w3, d5);
    x += 24;
  }
  v128.store(y, a0);
  v128.store(y, b0, 16);
  v128.store(y, c0, 32);
  v128.store(y, d0, 48);
  y += yStride;
  v128.store(y, a1);
  v128.store(y, b1, 16);
  v128.store(y, c1, 32);
  v128.store(y, d1, 48);
  y += yStride;
  v128.store(y, a2);
  v128.store(y, b2, 16);
  v128.store(y, c2, 32);
  v128.store(y, d2, 48);
  y += yStride;
  v128.store(y, a3);
  v128.store(y, b3, 16);
  v128.store(y, c3, 32);
  v128.store(y, d3, 48);
  y += yStride;
  v128.store(y, a4);
  v128.store(y, b4, 16);
  v128.store(y, c4, 32);
  v128.store(y, d4, 48);
  y += yStride;
  v128.store(y, a5);
  v128.store(y, b5, 16);
  v128.store(y, c5, 32);
  v128.store(y, d5, 48);
}
