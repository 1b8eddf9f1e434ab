/**
 * y = x weightᵀ + bias, weight row-major `[outputs, inputs]` as it was uploaded: one layout for everything that reads a weight.
 *
 * linearMany: for many rows. Weights are packed, a block of at most 96 outputs by 512 inputs at a time, into panels of 8 outputs
 * `[inputs, 8]` that stay in the second-level cache; a 5×8 tile of y then grows in 10 registers: for each input two loads of the panel and five
 * broadcasts of x feed 10 multiply-adds (a sixth row spills). Packing costs one read and one write of a weight, shared by all rows; a format other than float32 is
 * widened here and nowhere else. x is read once for each 96 outputs, y written once for each 512 inputs.
 *
 * linearFew: for few rows (decode). Dot products straight from the row-major weights, which are read once, as two or four
 * streams: bound by memory bandwidth for one row; four rows share each load for more. Sums over inputs run in 4 or 8 partial sums.
 *
 * Both compute outputs [start, end) only, so that threads can share a call; every output has one order of summation, whatever the
 * range.
 */
import { loadPart, sum, sums, transpose } from '../lib/lanes';

/** Inputs in a packed block. */
const DEPTH = 512;
/** Outputs in a packed block; a multiple of 8. */
const WIDTH = 96;

/** Scratch: the packed block, then a tile of 5×8. */
export function linearMany(
  x: usize, weight: usize, bias: usize, y: usize,
  rows: i32, inputs: i32, outputs: i32, start: i32, end: i32, scratch: usize,
): void {
  const edge = scratch + DEPTH * WIDTH * 4;
  const xStride = <usize>inputs << 2;
  const yStride = <usize>outputs << 2;
  for (let first = start; first < end; first += WIDTH) {
    const width = min(WIDTH, end - first);
    for (let from = 0; from < inputs; from += DEPTH) {
      const depth = min(DEPTH, inputs - from);
      pack(weight + <usize>first * xStride + (<usize>from << 2), xStride, width, depth, scratch);
      for (let row = 0; row < rows; row += 5) {
        const height = min(5, rows - row);
        const xTile = x + <usize>row * xStride + (<usize>from << 2);
        for (let column = 0; column < width; column += 8) {
          const panel = scratch + ((<usize>column * <usize>depth) << 2);
          const yTile = y + <usize>row * yStride + (<usize>(first + column) << 2);
          const biasTile = bias == 0 ? <usize>0 : bias + (<usize>(first + column) << 2);
          if (height == 5 && column + 8 <= width) {
            tile(xTile, xStride, 4, panel, depth, yTile, yStride, biasTile, from == 0);
          } else {
            tile(xTile, xStride, height - 1, panel, depth, edge, 32, 0, true);
            addEdge(edge, yTile, yStride, height, min(8, width - column), biasTile, from == 0);
          }
        }
      }
    }
  }
}

/** `[width, depth]` of the weight → panels `[depth, 8]`; outputs beyond `width` are zero. */
function pack(weight: usize, stride: usize, width: i32, depth: i32, panels: usize): void {
  for (let column = 0; column < width; column += 8) {
    const count = min(8, width - column);
    if (count < 8) memory.fill(panels, 0, <usize>depth << 5);
    let lane = 0;
    for (; lane + 4 <= count; lane += 4) {
      const source = weight + <usize>(column + lane) * stride;
      const target = panels + (<usize>lane << 2);
      let k = 0;
      for (; k + 4 <= depth; k += 4) transpose(source + (<usize>k << 2), stride, target + (<usize>k << 5), 32);
      for (; k < depth; k++) {
        for (let i: usize = 0; i < 4; i++) {
          store<f32>(target + (<usize>k << 5) + (i << 2), load<f32>(source + i * stride + (<usize>k << 2)));
        }
      }
    }
    for (; lane < count; lane++) {
      const source = weight + <usize>(column + lane) * stride;
      const target = panels + (<usize>lane << 2);
      for (let k = 0; k < depth; k++) store<f32>(target + (<usize>k << 5), load<f32>(source + (<usize>k << 2)));
    }
    panels += <usize>depth << 5;
  }
}

/** 5×8 of y; rows beyond `last` repeat it. `begin`: y starts from the bias (0: none), else from what it holds. */
function tile(
  x: usize, xStride: usize, last: usize, panel: usize, depth: i32,
  y: usize, yStride: usize, bias: usize, begin: bool,
): void {
  let x0 = x;
  let x1 = x + min<usize>(1, last) * xStride;
  let x2 = x + min<usize>(2, last) * xStride;
  let x3 = x + min<usize>(3, last) * xStride;
  let x4 = x + min<usize>(4, last) * xStride;
  let a0 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let b2 = f32x4.splat(0);
  let a3 = f32x4.splat(0);
  let b3 = f32x4.splat(0);
  let a4 = f32x4.splat(0);
  let b4 = f32x4.splat(0);
  for (const end = panel + (<usize>depth << 5); panel < end; panel += 32) {
    const w0 = v128.load(panel);
    const w1 = v128.load(panel, 16);
    let v = v128.load32_splat(x0);
    a0 = f32x4.add(a0, f32x4.mul(v, w0));
    b0 = f32x4.add(b0, f32x4.mul(v, w1));
    v = v128.load32_splat(x1);
    a1 = f32x4.add(a1, f32x4.mul(v, w0));
    b1 = f32x4.add(b1, f32x4.mul(v, w1));
    v = v128.load32_splat(x2);
    a2 = f32x4.add(a2, f32x4.mul(v, w0));
    b2 = f32x4.add(b2, f32x4.mul(v, w1));
    v = v128.load32_splat(x3);
    a3 = f32x4.add(a3, f32x4.mul(v, w0));
    b3 = f32x4.add(b3, f32x4.mul(v, w1));
    v = v128.load32_splat(x4);
    a4 = f32x4.add(a4, f32x4.mul(v, w0));
    b4 = f32x4.add(b4, f32x4.mul(v, w1));
    x0 += 4;
    x1 += 4;
    x2 += 4;
    x3 += 4;
    x4 += 4;
  }
  finish(y, a0, b0, bias, begin);
  finish(y + yStride, a1, b1, bias, begin);
  finish(y + 2 * yStride, a2, b2, bias, begin);
  finish(y + 3 * yStride, a3, b3, bias, begin);
  finish(y + 4 * yStride, a4, b4, bias, begin);
}

// @ts-ignore: decorator
@inline
function finish(y: usize, a: v128, b: v128, bias: usize, begin: bool): void {
  if (!begin) {
    a = f32x4.add(v128.load(y), a);
    b = f32x4.add(v128.load(y, 16), b);
  } else if (bias != 0) {
    a = f32x4.add(v128.load(bias), a);
    b = f32x4.add(v128.load(bias, 16), b);
  }
  v128.store(y, a);
  v128.store(y, b, 16);
}

/** The part of an incomplete tile that belongs to y. */
function addEdge(
  edge: usize, y: usize, yStride: usize, height: i32, width: i32, bias: usize, begin: bool,
): void {
  for (let row = 0; row < height; row++) {
    for (let column: usize = 0; column < <usize>width; column++) {
      const at = y + (column << 2);
      let value = load<f32>(edge + (column << 2));
      if (!begin) value = load<f32>(at) + value;
      else if (bias != 0) value = load<f32>(bias + (column << 2)) + value;
      store<f32>(at, value);
    }
    edge += 32;
    y += yStride;
  }
}

export function linearFew(
  x: usize, weight: usize, bias: usize, y: usize,
  rows: i32, inputs: i32, outputs: i32, start: i32, end: i32,
): void {
  const stride = <usize>inputs << 2;
  weight += <usize>start * stride;
  let output = start;
  for (; rows > 1 && output + 2 <= end; output += 2) {
    for (let row = 0; row < rows; row += 4) {
      dot4x2(
        x + <usize>row * stride, min(4, rows - row), weight, stride, inputs,
        y + ((<usize>row * <usize>outputs + <usize>output) << 2), <usize>outputs << 2,
        bias == 0 ? <usize>0 : bias + (<usize>output << 2),
      );
    }
    weight += stride << 1;
  }
  for (; output < end; output++) {
    for (let row = 0; row < rows; row++) {
      let value = dot(x + <usize>row * stride, weight, inputs);
      if (bias != 0) value += load<f32>(bias + (<usize>output << 2));
      store<f32>(y + ((<usize>row * <usize>outputs + <usize>output) << 2), value);
    }
    weight += stride;
  }
}

/** Two outputs of up to four rows; rows beyond `count` repeat the last and are not stored. */
function dot4x2(
  x: usize, count: i32, weight: usize, stride: usize, inputs: i32, y: usize, yStride: usize, bias: usize,
): void {
  const last = <usize>(count - 1);
  let x0 = x;
  let x1 = x + min<usize>(1, last) * stride;
  let x2 = x + min<usize>(2, last) * stride;
  let x3 = x + min<usize>(3, last) * stride;
  let p = weight;
  let q = weight + stride;
  let a0 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let b2 = f32x4.splat(0);
  let a3 = f32x4.splat(0);
  let b3 = f32x4.splat(0);
  let k = 0;
  for (; k + 4 <= inputs; k += 4) {
    const v = v128.load(p);
    const u = v128.load(q);
    const r0 = v128.load(x0);
    a0 = f32x4.add(a0, f32x4.mul(r0, v));
    b0 = f32x4.add(b0, f32x4.mul(r0, u));
    const r1 = v128.load(x1);
    a1 = f32x4.add(a1, f32x4.mul(r1, v));
    b1 = f32x4.add(b1, f32x4.mul(r1, u));
    const r2 = v128.load(x2);
    a2 = f32x4.add(a2, f32x4.mul(r2, v));
    b2 = f32x4.add(b2, f32x4.mul(r2, u));
    const r3 = v128.load(x3);
    a3 = f32x4.add(a3, f32x4.mul(r3, v));
    b3 = f32x4.add(b3, f32x4.mul(r3, u));
    p += 16;
    q += 16;
    x0 += 16;
    x1 += 16;
    x2 += 16;
    x3 += 16;
  }
  if (k < inputs) {
    const rest = inputs - k;
    const v = loadPart(p, rest);
    const u = loadPart(q, rest);
    const r0 = loadPart(x0, rest);
    a0 = f32x4.add(a0, f32x4.mul(r0, v));
    b0 = f32x4.add(b0, f32x4.mul(r0, u));
    const r1 = loadPart(x1, rest);
    a1 = f32x4.add(a1, f32x4.mul(r1, v));
    b1 = f32x4.add(b1, f32x4.mul(r1, u));
    const r2 = loadPart(x2, rest);
    a2 = f32x4.add(a2, f32x4.mul(r2, v));
    b2 = f32x4.add(b2, f32x4.mul(r2, u));
    const r3 = loadPart(x3, rest);
    a3 = f32x4.add(a3, f32x4.mul(r3, v));
    b3 = f32x4.add(b3, f32x4.mul(r3, u));
  }
  // Sums as pairs (output, output + 1): rows 0 and 1, rows 2 and 3.
  let low = sums(a0, b0, a1, b1);
  let high = sums(a2, b2, a3, b3);
  if (bias != 0) {
    const pair = v128.load64_splat(bias);
    low = f32x4.add(pair, low);
    high = f32x4.add(pair, high);
  }
  v128.store64_lane(y, low, 0);
  if (count > 1) v128.store64_lane(y + yStride, low, 1);
  if (count > 2) v128.store64_lane(y + 2 * yStride, high, 0);
  if (count > 3) v128.store64_lane(y + 3 * yStride, high, 1);
}

/** One output: one stream, four partial sums. */
function dot(x: usize, weight: usize, inputs: i32): f32 {
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let k = 0;
  for (; k + 16 <= inputs; k += 16) {
    a = f32x4.add(a, f32x4.mul(v128.load(x), v128.load(weight)));
    b = f32x4.add(b, f32x4.mul(v128.load(x, 16), v128.load(weight, 16)));
    c = f32x4.add(c, f32x4.mul(v128.load(x, 32), v128.load(weight, 32)));
    d = f32x4.add(d, f32x4.mul(v128.load(x, 48), v128.load(weight, 48)));
    x += 64;
    weight += 64;
  }
  for (; k < inputs; k += 4) {
    const rest = inputs - k;
    a = f32x4.add(a, f32x4.mul(loadPart(x, rest), loadPart(weight, rest)));
    x += 16;
    weight += 16;
  }
  return sum(f32x4.add(f32x4.add(a, b), f32x4.add(c, d)));
}
