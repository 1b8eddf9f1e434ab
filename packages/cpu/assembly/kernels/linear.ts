/**
 * y = x weightᵀ + bias, or y += x weightᵀ + bias, with x RMS-normalised first where a norm is folded in. A task is some
 * rows by some panels of 16 outputs, and is computed alike by whichever thread takes it, so any number of threads gives
 * the same bits.
 *
 * Many rows: the command before has packed x (linear-pack.ts). A task's tiles of x, `DEPTH` inputs at a time, stay in
 * the second-level cache while its panels stream through: each panel is widened to float32 unless it is float32, and
 * multiplied by all tiles (linear-tile.ts). Weights are read once for the rows of a task, x once for its panels, and y
 * is read and written once for each DEPTH inputs.
 *
 * Few rows (decode): weights are one stream, and each panel is multiplied by all rows, one by one (linear-vector.ts) or
 * in pairs (linear-pair.ts). It comes from memory for the first row and from the second-level cache for the others,
 * still in the form in which it is stored.
 *
 * A thread's scratch for many rows holds zeros (64 bytes), a tile's edge (6×64 bytes) and a widened panel; for each of
 * few rows it holds results (64 bytes), x normalised, and x quantised. See src/operations/linear.ts.
 */
import { loadPart, storePart, sum } from '../lib/lanes';
import { madd } from '../lib/madd';
import { DEPTH, LinearCall } from './linear-call';
import { packedAt } from './linear-pack';
import { pairBfloat16, pairFloat16, pairFloat32 } from './linear-pair';
import { MOST_ROWS, multiplyTile, tileRows } from './linear-tile';
import {
  quantise, scaleForFloat16, vectorBfloat16, vectorFloat16, vectorFloat32, vectorQ4, vectorQ8,
} from './linear-vector';
import { inverseRoot } from './rms-norm';
import { columns, Layout, PANEL, panelBytes, widen } from './weights';

/**
 * Runs a task; `first` is true where it is the thread's first task of this call. Tasks of the same panels are
 * neighbours.
 */
export function linear(call: LinearCall, task: i32, thread: i32, first: bool): void {
  const scratch = call.scratch + <usize>thread * call.scratchStride;
  const ranges = (call.rows + call.taskRows - 1) / call.taskRows;
  const start = (task / ranges) * call.taskPanels;
  const end = min(start + call.taskPanels, (call.outputs + PANEL - 1) >> 4);
  if (call.rows <= call.vectorRows) {
    if (first) {
      for (let row = 0; row < call.rows; row++) prepareRow(call, row, scratch + <usize>row * call.rowScratch);
    }
    fewRows(call, start, end, scratch);
  } else {
    const row = (task % ranges) * call.taskRows;
    manyRows(call, row, min(call.taskRows, call.rows - row), start, end, scratch);
  }
}

function manyRows(call: LinearCall, row: i32, rows: i32, start: i32, end: i32, scratch: usize): void {
  const height = tileRows(call.wide);
  const zeros = scratch;
  const edge = zeros + 64;
  const widened = edge + MOST_ROWS * 64;
  memory.fill(zeros, 0, 64);
  const y = call.y + <usize>row * call.yStride;
  const yStride = call.yStride;
  for (let from = 0; from < call.inputs; from += DEPTH) {
    const depth = min(DEPTH, call.inputs - from);
    const packed = packedAt(call, height, from, depth, row);
    for (let panel = start; panel < end; panel++) {
      const width = min(PANEL, call.outputs - (panel << 4));
      const weight = call.weightTransposed
        ? columns(call.weight, call.layout, call.outputs, panel, from, depth, widened, widened + DEPTH * 64)
        : widen(call.weight, call.layout, call.inputs, call.outputs, panel, from, depth, widened);
      const column = <usize>panel << 6;
      if (from == 0 && call.accumulate && call.bias != 0) addBias(call.bias + column, y + column, yStride, rows, width);
      const kept = from != 0 || call.accumulate;
      for (let r = 0; r < rows; r += height) {
        const tile = packed + ((<usize>r * <usize>depth) << 2);
        const target = y + <usize>r * yStride + column;
        if (r + height <= rows && width == PANEL) {
          const base = kept ? target : call.bias != 0 ? call.bias + column : zeros;
          multiplyTile(call.wide, tile, weight, depth, base, kept ? yStride : 0, target, yStride);
        } else {
          multiplyTile(call.wide, tile, weight, depth, zeros, 0, edge, 64);
          const base = kept ? target : call.bias != 0 ? call.bias + column : zeros;
          addEdge(edge, base, kept ? yStride : 0, target, yStride, min(height, rows - r), width);
        }
      }
    }
  }
}

function addBias(bias: usize, y: usize, yStride: usize, rows: i32, width: i32): void {
  for (let row = 0; row < rows; row++) {
    for (let column: usize = 0; column < <usize>width << 2; column += 4) {
      store<f32>(y + column, load<f32>(y + column) + load<f32>(bias + column));
    }
    y += yStride;
  }
}

/** Adds the part of an incomplete tile that belongs to y. */
function addEdge(
  edge: usize, base: usize, baseStride: usize, y: usize, yStride: usize, height: i32, width: i32,
): void {
  for (let row = 0; row < height; row++) {
    for (let column: usize = 0; column < <usize>width << 2; column += 4) {
      store<f32>(y + column, load<f32>(base + column) + load<f32>(edge + column));
    }
    edge += 64;
    base += baseStride;
    y += yStride;
  }
}

/** Normalises and quantises a row of x, once for each thread and call. */
function prepareRow(call: LinearCall, row: i32, scratch: usize): void {
  const x = call.x + <usize>row * call.xStride;
  const normed = scratch + 64;
  if (call.normalise) normaliseRow(call, x, normed);
  const from = call.normalise ? normed : x;
  if (call.layout == Layout.FLOAT16)
    store<f32>(quantisedRow(call, scratch), scaleForFloat16(from, call.inputs, normed));
  if (call.layout >= Layout.Q8) quantise(from, call.inputs, quantisedRow(call, scratch));
}

/** @inline */
function quantisedRow(call: LinearCall, scratch: usize): usize {
  return scratch + 64 + (((<usize>call.inputs + 15) & ~15) << 2);
}

function normaliseRow(call: LinearCall, x: usize, to: usize): void {
  const scale = f32x4.splat(inverseRoot(x, call.inputs, call.eps));
  for (let k = 0; k < call.inputs; k += 4) {
    const rest = call.inputs - k;
    const offset = <usize>k << 2;
    let value = f32x4.mul(loadPart(x + offset, rest), scale);
    if (call.norm != 0) value = f32x4.mul(value, loadPart(call.norm + offset, rest));
    storePart(to + offset, value, rest);
  }
}

function fewRows(call: LinearCall, start: i32, end: i32, scratch: usize): void {
  const bytes = panelBytes(call.layout, call.inputs);
  let weight = call.weight + <usize>start * bytes;
  for (let panel = start; panel < end; panel++) {
    const column = <usize>panel << 6;
    const width = min(PANEL, call.outputs - (panel << 4));
    const bias = call.bias == 0 ? <usize>0 : call.bias + column;
    multiplyRows(call, weight, width, scratch);
    let place = scratch;
    for (let row = 0; row < call.rows; row++) {
      finishRow(call, place, bias, call.y + <usize>row * call.yStride + column, width);
      place += call.rowScratch;
    }
    weight += bytes;
  }
}

/**
 * Multiplies all rows by a panel, in pairs where the layout has them; results are the first 64 bytes of each row's
 * scratch.
 */
function multiplyRows(call: LinearCall, weight: usize, width: i32, scratch: usize): void {
  const layout = call.layout;
  const inputs = call.inputs;
  const toStride = call.rowScratch;
  const ready = call.normalise || layout == Layout.FLOAT16;
  const xStride = ready ? toStride : call.xStride;
  let x = ready ? scratch + 64 : call.x;
  let rows = call.rows;
  for (; rows >= 2 && inPairs(layout); rows -= 2) {
    if (layout == Layout.FLOAT32) pairFloat32(x, xStride, weight, inputs, scratch, toStride);
    else if (layout == Layout.FLOAT16) pairFloat16(x, xStride, weight, inputs, scratch, toStride);
    else pairBfloat16(x, xStride, weight, inputs, scratch, toStride);
    x += 2 * xStride;
    scratch += 2 * toStride;
  }
  for (; rows > 0; rows--) {
    multiplyRow(call, x, weight, width, scratch);
    x += xStride;
    scratch += toStride;
  }
}

/** Whether rows are multiplied in pairs. Without fused multiply-add, float16 lacks a register for that. @inline */
function inPairs(layout: i32): bool {
  return layout == Layout.FLOAT32 || layout == Layout.BFLOAT16 ||
    (ASC_FEATURE_RELAXED_SIMD && layout == Layout.FLOAT16);
}

function multiplyRow(call: LinearCall, x: usize, weight: usize, width: i32, scratch: usize): void {
  const inputs = call.inputs;
  const quantised = quantisedRow(call, scratch);
  if (call.layout == Layout.FLOAT32) vectorFloat32(x, weight, inputs, scratch);
  else if (call.layout == Layout.FLOAT16) vectorFloat16(x, weight, inputs, scratch);
  else if (call.layout == Layout.BFLOAT16) vectorBfloat16(x, weight, inputs, scratch);
  else if (call.layout == Layout.Q8) vectorQ8(quantised, weight, inputs, scratch);
  else if (call.layout == Layout.Q4) vectorQ4(quantised, weight, inputs, scratch);
  else vectorRows(x, weight, inputs, width, scratch);
}

function finishRow(call: LinearCall, scratch: usize, bias: usize, y: usize, width: i32): void {
  const half = call.layout == Layout.FLOAT16;
  const factor = half ? v128.load32_splat(quantisedRow(call, scratch)) : f32x4.splat(0);
  for (let lane = 0; lane < width; lane += 4) {
    const rest = width - lane;
    const offset = <usize>lane << 2;
    let value = v128.load(scratch + offset);
    if (half) value = f32x4.mul(value, factor);
    if (bias != 0) value = f32x4.add(value, loadPart(bias + offset, rest));
    if (call.accumulate) value = f32x4.add(value, loadPart(y + offset, rest));
    storePart(y + offset, value, rest);
  }
}

/**
 * Multiplies by sixteen rows of a matrix that is not in panels, one at a time, since four streams side by side reach
 * only 40 % of the bandwidth of one.
 */
function vectorRows(x: usize, weight: usize, inputs: i32, rows: i32, to: usize): void {
  for (let row = 0; row < rows; row++) {
    store<f32>(to + (<usize>row << 2), dot(x, weight, inputs));
    weight += <usize>inputs << 2;
  }
}

/** One output, from one stream of weights and four partial sums. */
function dot(x: usize, weight: usize, inputs: i32): f32 {
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let k = 0;
  for (; k + 16 <= inputs; k += 16) {
    a = madd(v128.load(x), v128.load(weight), a);
    b = madd(v128.load(x, 16), v128.load(weight, 16), b);
    c = madd(v128.load(x, 32), v128.load(weight, 32), c);
    d = madd(v128.load(x, 48), v128.load(weight, 48), d);
    x += 64;
    weight += 64;
  }
  for (; k < inputs; k += 4) {
    const rest = inputs - k;
    a = madd(loadPart(x, rest), loadPart(weight, rest), a);
    x += 16;
    weight += 16;
  }
  return sum(f32x4.add(f32x4.add(a, b), f32x4.add(c, d)));
}
