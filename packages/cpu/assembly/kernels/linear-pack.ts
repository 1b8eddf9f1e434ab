/**
 * Packs x into tiles for a product of many rows, RMS-normalised where a norm is folded in. For each DEPTH inputs and
 * each tile of `height` rows there is a matrix `[depth, height]`, with zeros in rows that do not exist. All threads
 * pack together, once for a product, whose tasks then read x in the order in which they need it.
 */
import { Constant, constant } from '../lib/constants';
import { loadPart, transpose } from '../lib/lanes';
import { DEPTH, LinearCall } from './linear-call';
import { tileRows } from './linear-tile';
import { inverseRoot } from './rms-norm';

/** Tiles that a task of packing makes. */
export const PACKED_TILES = 4; // host
/** The same where x is transposed, whose rows are then read in pieces of so many tiles. */
export const PACKED_COLUMN_TILES = 16; // host

/** Runs a task of the packing. A thread's scratch holds the scales of the task's rows. */
export function pack(call: LinearCall, task: i32, thread: i32): void {
  const height = tileRows(call.wide);
  const most = (call.xTransposed ? PACKED_COLUMN_TILES : PACKED_TILES) * height;
  const row = task * most;
  const rows = min(most, call.rows - row);
  const x = call.x + <usize>row * call.xStride;
  const scales = call.scratch + <usize>thread * call.scratchStride;
  if (call.normalise) {
    for (let r = 0; r < rows; r++) {
      store<f32>(scales + (<usize>r << 2), inverseRoot(x + <usize>r * call.xStride, call.inputs, call.eps));
    }
  }
  for (let from = 0; from < call.inputs; from += DEPTH) {
    const depth = min(DEPTH, call.inputs - from);
    const to = packedAt(call, height, from, depth, row);
    if (call.xTransposed) {
      const first = call.x + <usize>from * call.xStride + (<usize>row << 2);
      packColumns(first, call.xStride, rows, depth, height, to);
    } else packRows(call, x + (<usize>from << 2), from, rows, depth, height, scales, to);
  }
}

/** The address of the tile of `row`, for the DEPTH inputs from `from` on. */
export function packedAt(call: LinearCall, height: i32, from: i32, depth: i32, row: i32): usize {
  const rows = (call.rows + height - 1) / height * height;
  return call.packed + ((<usize>rows * <usize>from + <usize>row * <usize>depth) << 2);
}

function packRows(
  call: LinearCall, x: usize, from: i32, rows: i32, depth: i32, height: i32, scales: usize, to: usize,
): void {
  const stride = call.xStride;
  for (let r = 0; r < rows; r += height) {
    const count = min(height, rows - r);
    packTile(x + <usize>r * stride, stride, count, depth, height, to);
    if (call.normalise) scaleTile(to, depth, height, count, scales + (<usize>r << 2), call.norm, from);
    to += (<usize>depth * <usize>height) << 2;
  }
}

/** Packs `count` rows, at most `height`, as a tile `[depth, height]`; the rows that are missing are zeros. */
export function packTile(source: usize, stride: usize, count: i32, depth: i32, height: i32, to: usize): void {
  const step = <usize>height << 2;
  if (count < height) memory.fill(to, 0, <usize>depth * step);
  let lane = 0;
  if (count >= 4) {
    let k = 0;
    for (; k + 4 <= depth; k += 4) transpose(source + (<usize>k << 2), stride, to + <usize>k * step, step);
    for (; k < depth; k++) {
      for (let i: usize = 0; i < 4; i++) {
        store<f32>(to + <usize>k * step + (i << 2), load<f32>(source + i * stride + (<usize>k << 2)));
      }
    }
    lane = 4;
  }
  if (count == 6) {
    packPair(source + 4 * stride, stride, depth, to + 16);
    lane = 6;
  }
  for (; lane < count; lane++) packRow(source + <usize>lane * stride, depth, to + (<usize>lane << 2), step);
}

/** Packs `rows` columns of a matrix that is `[inputs, rows]`: its rows are copied in pieces. */
function packColumns(x: usize, xStride: usize, rows: i32, depth: i32, height: i32, to: usize): void {
  const step = <usize>height << 2;
  const tile = <usize>depth * step;
  const whole = rows / height;
  const rest = rows % height;
  if (rest != 0) memory.fill(to + <usize>whole * tile, 0, tile);
  for (let k = 0; k < depth; k++) {
    let source = x;
    let place = to;
    for (let index = 0; index < whole; index++) {
      v128.store(place, v128.load(source));
      // A tile has five rows or six.
      if (height == 6) store<u64>(place, load<u64>(source, 16), 16);
      else store<u32>(place, load<u32>(source, 16), 16);
      source += step;
      place += tile;
    }
    for (let lane: usize = 0; lane < <usize>rest << 2; lane += 4) store<u32>(place + lane, load<u32>(source + lane));
    x += xStride;
    to += step;
  }
}

/** Packs rows 4 and 5 of a tile of six. */
function packPair(row: usize, stride: usize, depth: i32, to: usize): void {
  let k = 0;
  for (; k + 4 <= depth; k += 4) {
    const a = v128.load(row);
    const b = v128.load(row + stride);
    const low = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
    const high = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
    v128.store64_lane(to, low, 0);
    v128.store64_lane(to, low, 1, 24);
    v128.store64_lane(to, high, 0, 48);
    v128.store64_lane(to, high, 1, 72);
    row += 16;
    to += 96;
  }
  for (; k < depth; k++) {
    store<f32>(to, load<f32>(row));
    store<f32>(to, load<f32>(row + stride), 4);
    row += 4;
    to += 24;
  }
}

function packRow(row: usize, depth: i32, to: usize, step: usize): void {
  for (const end = row + (<usize>depth << 2); row < end; row += 4) {
    store<f32>(to, load<f32>(row));
    to += step;
  }
}

/** Multiplies by the rows' scales and then by the norm's weights, so that it rounds as `rmsNorm` does. */
function scaleTile(tile: usize, depth: i32, height: i32, count: i32, scales: usize, norm: usize, from: i32): void {
  const step = <usize>height << 2;
  const scale = loadPart(scales, count);
  const others = count > 4 ? loadPart(scales + 16, count - 4) : f32x4.splat(0);
  const weights = norm + (<usize>from << 2);
  for (let k = 0; k < depth; k++) {
    const weight = norm != 0 ? v128.load32_splat(weights + (<usize>k << 2)) : constant(Constant.ONE);
    v128.store(tile, f32x4.mul(f32x4.mul(v128.load(tile), scale), weight));
    // With five rows the second lane is the next input's first row, which must not be written.
    const value = f32x4.mul(f32x4.mul(v128.load64_zero(tile, 16), others), weight);
    if (height == 6) v128.store64_lane(tile, value, 0, 16);
    else v128.store32_lane(tile, value, 0, 16);
    tile += step;
  }
}
