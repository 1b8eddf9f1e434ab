/**
 * y = x weightᵀ + bias, weight row-major `[outputs, inputs]` as it was uploaded: one layout for everything that reads a weight.
 *
 * linearMany: for many rows. Weights are packed, a block of at most 96 outputs by 512 inputs at a time, into panels of 8 outputs
 * `[inputs, 8]` that stay in the second-level cache; a 5×8 tile of y then grows in 10 registers: for each input two loads of the panel and five
 * broadcasts of x feed 10 multiply-adds (a sixth row spills). Packing costs one read and one write of a weight, shared by all rows; a format other than float32 is
 * widened here and nowhere else. x is read once for each 96 outputs, y written once for each 512 inputs.
 *
 * linearFew: for few rows (decode). Dot products straight from the row-major weights, which are read once. One row reads them as a single
 * stream, at the memory's bandwidth (four streams side by side reach 40 % of it, since each is cut off at the end of a row); more rows share
 * each load, four at a time.
 *
 * Both compute outputs [start, end) only, so that threads can share a call; every output has one order of summation, whatever the
 * range.
 */
import { loadPart, sum, sums, transpose } from '../lib/lanes';

/** Inputs in a packed block. */
const DEPTH = 512;
/** Outputs in a packed block; a multiple of 8. */
const WIDTH = 96;

/** Scratch: the packed block, then a tile of 5×8, then eight zeros. */
export function linearMany(
  x: usize, weight: usize, bias: usize, y: usize,
  rows: i32, inputs: i32, outputs: i32, start: i32, end: i32, scratch: usize,
): void {
  const edge = scratch + DEPTH * WIDTH * 4;
  const zeros = edge + 5 * 32;
  memory.fill(zeros, 0, 32);
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
          const given = bias == 0 ? zeros : bias + (<usize>(first + column) << 2);
          const base = from == 0 ? given : yTile;
          const baseStride = from == 0 ? <usize>0 : yStride;
          if (height == 5 && column + 8 <= width) {
            tile(xTile, xStride, 4, panel, depth, base, baseStride, yTile, yStride);
          } else {
            tile(xTile, xStride, height - 1, panel, depth, zeros, 0, edge, 32);
            addEdge(edge, base, baseStride, yTile, yStride, height, min(8, width - column));
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

/**
 * 5×8 of y = what is at `base` + x · panel; rows beyond `last` repeat it. Sums start from `base`, and are only stored after the loop: V8
 * spills them inside it if more is done with them behind it, at half the speed.
 */
function tile(
  x: usize, xStride: usize, last: usize, panel: usize, depth: i32, base: usize, baseStride: usize, y: usize, yStride: usize,
): void {
  let x0 = x;
  let x1 = x + min<usize>(1, last) * xStride;
  let x2 = x + min<usize>(2, last) * xStride;
  let x3 = x + min<usize>(3, last) * xStride;
  let x4 = x + min<usize>(4, last) * xStride;
  let a0 = v128.load(base);
  let b0 = v128.load(base, 16);
  let a1 = v128.load(base + baseStride);
  let b1 = v128.load(base + baseStride, 16);
  let a2 = v128.load(base + 2 * baseStride);
  let b2 = v128.load(base + 2 * baseStride, 16);
  let a3 = v128.load(base + 3 * baseStride);
  let b3 = v128.load(base + 3 * baseStride, 16);
  let a4 = v128.load(base + 4 * baseStride);
  let b4 = v128.load(base + 4 * baseStride, 16);
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
  v128.store(y, a0);
  v128.store(y, b0, 16);
  v128.store(y + yStride, a1);
  v128.store(y + yStride, b1, 16);
  v128.store(y + 2 * yStride, a2);
  v128.store(y + 2 * yStride, b2, 16);
  v128.store(y + 3 * yStride, a3);
  v128.store(y + 3 * yStride, b3, 16);
  v128.store(y + 4 * yStride, a4);
  v128.store(y + 4 * yStride, b4, 16);
}

/** The part of an incomplete tile that belongs to y. */
function addEdge(
  edge: usize, base: usize, baseStride: usize, y: usize, yStride: usize, height: i32, width: i32,
): void {
  for (let row = 0; row < height; row++) {
    for (let column: usize = 0; column < <usize>width << 2; column += 4) {
      store<f32>(y + column, load<f32>(base + column) + load<f32>(edge + column));
    }
    edge += 32;
    base += baseStride;
    y += yStride;
  }
}

/** Scratch: 128 bytes of partial sums. */
export function linearFew(
  x: usize, weight: usize, bias: usize, y: usize,
  rows: i32, inputs: i32, outputs: i32, start: i32, end: i32, scratch: usize,
): void {
  const stride = <usize>inputs << 2;
  const yStride = <usize>outputs << 2;
  weight += <usize>start * stride;
  for (let output = start; output < end; output++) {
    const added = bias == 0 ? <f32>0 : load<f32>(bias + (<usize>output << 2));
    const target = y + (<usize>output << 2);
    if (rows == 1) {
      store<f32>(target, added + dot(x, weight, inputs));
    } else {
      for (let row = 0; row < rows; row += 4) {
        const offset = <usize>row * stride;
        dots(x + offset, min(4, rows - row), stride, weight, inputs, added, target + <usize>row * yStride, yStride, scratch);
      }
    }
    weight += stride;
  }
}

/** One output of up to four rows; rows beyond `count` repeat the last and are not stored. */
function dots(
  x: usize, count: i32, stride: usize, weight: usize, inputs: i32, bias: f32, y: usize, yStride: usize, scratch: usize,
): void {
  const rest = inputs & 7;
  const last = <usize>(count - 1);
  partialSums(x, last, stride, weight, <usize>(inputs - rest) << 2, scratch);
  let value = sums(
    f32x4.add(v128.load(scratch), v128.load(scratch, 16)),
    f32x4.add(v128.load(scratch, 32), v128.load(scratch, 48)),
    f32x4.add(v128.load(scratch, 64), v128.load(scratch, 80)),
    f32x4.add(v128.load(scratch, 96), v128.load(scratch, 112)),
  );
  for (let k = inputs - rest; k < inputs; k += 4) {
    const offset = <usize>k << 2;
    const part = inputs - k;
    const w = loadPart(weight + offset, part);
    const at = x + offset;
    value = f32x4.add(
      value,
      sums(
        f32x4.mul(loadPart(at, part), w),
        f32x4.mul(loadPart(at + min<usize>(1, last) * stride, part), w),
        f32x4.mul(loadPart(at + min<usize>(2, last) * stride, part), w),
        f32x4.mul(loadPart(at + min<usize>(3, last) * stride, part), w),
      ),
    );
  }
  value = f32x4.add(f32x4.splat(bias), value);
  v128.store32_lane(y, value, 0);
  if (count > 1) v128.store32_lane(y + yStride, value, 1);
  if (count > 2) v128.store32_lane(y + 2 * yStride, value, 2);
  if (count > 3) v128.store32_lane(y + 3 * yStride, value, 3);
}

/** Two vectors of partial sums for each of four rows, into `sums`: a function of its own for the reason given at `tile`. */
function partialSums(x: usize, last: usize, stride: usize, weight: usize, bytes: usize, sums: usize): void {
  let x0 = x;
  let x1 = x + min<usize>(1, last) * stride;
  let x2 = x + min<usize>(2, last) * stride;
  let x3 = x + min<usize>(3, last) * stride;
  let a0 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let b2 = f32x4.splat(0);
  let a3 = f32x4.splat(0);
  let b3 = f32x4.splat(0);
  for (const end = weight + bytes; weight < end; weight += 32) {
    const v = v128.load(weight);
    const u = v128.load(weight, 16);
    a0 = f32x4.add(a0, f32x4.mul(v, v128.load(x0)));
    b0 = f32x4.add(b0, f32x4.mul(u, v128.load(x0, 16)));
    a1 = f32x4.add(a1, f32x4.mul(v, v128.load(x1)));
    b1 = f32x4.add(b1, f32x4.mul(u, v128.load(x1, 16)));
    a2 = f32x4.add(a2, f32x4.mul(v, v128.load(x2)));
    b2 = f32x4.add(b2, f32x4.mul(u, v128.load(x2, 16)));
    a3 = f32x4.add(a3, f32x4.mul(v, v128.load(x3)));
    b3 = f32x4.add(b3, f32x4.mul(u, v128.load(x3, 16)));
    x0 += 32;
    x1 += 32;
    x2 += 32;
    x3 += 32;
  }
  v128.store(sums, a0, 0);
  v128.store(sums, b0, 16);
  v128.store(sums, a1, 32);
  v128.store(sums, b1, 48);
  v128.store(sums, a2, 64);
  v128.store(sums, b2, 80);
  v128.store(sums, a3, 96);
  v128.store(sums, b3, 112);
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
