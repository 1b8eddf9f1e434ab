/**
 * Mamba-2's scan. A task is a range of heads of one group and one batch row; every head is computed alike in whatever
 * task it is, so any number of threads gives the same bits.
 *
 * Chunks of SSD_CHUNK steps follow each other. With u = d x, S the state before the chunk, α the sums of d A from its
 * first step on, and L_ij = exp(α_i - α_j) for j ≤ i,
 *
 *     y_i = Σ_j (L ∘ C Bᵀ)_ij u_j + exp(α_i) S C_i          S' = exp(α_last) S + Σ_j exp(α_last - α_j) u_j B_jᵀ
 *
 * which are products of matrices, in the tiles of linear-tile.ts. C Bᵀ is computed once for the heads of a task, and
 * tiles above the diagonal are left out: for a step of a head P (2 N + SSD_CHUNK / 2) multiply-adds, with P channels
 * and N states, where the recurrence has 3 P N of them that load and store the state each time. The state stays in the
 * second-level cache; x, z, B and C are read once, and y is written once.
 *
 * Calls of few steps (decode) are the recurrence itself: see step.ts.
 */
import { silu } from '../../lib/activations';
import { loadPart, storePart } from '../../lib/lanes';
import { madd } from '../../lib/madd';
import { multiplyTile } from '../linear-tile';
import { locate, SSD_CHUNK, SSD_PADDED, SsdInputs, SsdPart, SsdScanCall } from './call';
import { packColumns, packRows, scalePanels, scaleRows, turnPanel } from './panels';
import { advanceState, loadState, storeState } from './states';
import { recur } from './step';
import { decayGram, takeSteps } from './steps';

/** Most steps of a call that is computed as a recurrence. */
const FEW_STEPS = 4;

/** Runs a task of the call. */
export function ssdScan(call: SsdScanCall, task: i32, thread: i32): void {
  const part = changetype<SsdPart>(call.scratch + <usize>thread * call.scratchStride);
  locate(part, call, task);
  if (call.length <= FEW_STEPS) recur(part, call);
  else inChunks(part, call);
}

/** Bytes to a head's state in a tensor `[batch, heads, headDim, state]`. @inline */
export function stateOffset(part: SsdPart, head: i32): usize {
  const call = part.call;
  return ((<usize>part.row * <usize>call.heads + <usize>head) * <usize>call.headDim * <usize>call.state) << 2;
}

function inChunks(part: SsdPart, call: SsdScanCall): void {
  let state = part.states;
  for (let head = part.head; head < part.head + part.heads; head++) {
    loadState(part, call.initialState == 0 ? <usize>0 : call.initialState + stateOffset(part, head), state);
    state += part.stateBytes;
  }
  for (let start = 0; start < call.length; start += SSD_CHUNK) {
    const count = min(SSD_CHUNK, call.length - start);
    takeGroup(part, start, count);
    state = part.states;
    for (let head = part.head; head < part.head + part.heads; head++) {
      takeSteps(part, head, start, count);
      takeInputs(part, head, start, count);
      decayGram(part, count, false, part.gram, part.decayed);
      packRows(part.decayed, SSD_PADDED << 2, count, SSD_CHUNK, part.height, part.rowsDecayed);
      const first = start == 0 && call.initialState == 0;
      outputs(part, call, head, start, count, first ? <usize>0 : state);
      advance(part, state, count);
      state += part.stateBytes;
    }
  }
  state = part.states;
  for (let head = part.head; head < part.head + part.heads; head++) {
    storeState(part, state, call.lastState + stateOffset(part, head));
    state += part.stateBytes;
  }
}

/** Brings B and C of a chunk into tiles, and forms the lower triangle of C Bᵀ. */
export function takeGroup(part: SsdPart, start: i32, count: i32): void {
  const call = part.call;
  const state = call.state;
  const height = part.height;
  const stride = call.stepStride;
  const B = part.B + <usize>start * stride;
  packRows(part.C + <usize>start * stride, stride, count, state, height, part.rowsC);
  packColumns(B, stride, state, count, height, part.statesB);
  triangle(part, part.rowsC, state, B, stride, count, part.panelB, part.gram);
}

/**
 * The lower triangle of a product x yᵀ over a chunk, `[SSD_CHUNK, SSD_PADDED]`: x as tiles of rows `[depth, height]`,
 * y as `count` rows that lie `stride` apart. It is whole tiles, so values above the diagonal may be anything. `panel`
 * is memory for `[depth, 16]`.
 */
export function triangle(
  part: SsdPart, x: usize, depth: i32, y: usize, stride: usize, count: i32, panel: usize, to: usize,
): void {
  const height = part.height;
  for (let j = 0; j < count; j += 16) {
    turnPanel(y + <usize>j * stride, stride, min(16, count - j), depth, panel);
    for (let i = j / height * height; i < count; i += height) {
      const tile = x + ((<usize>i * <usize>depth) << 2);
      const place = to + (<usize>(i * SSD_PADDED + j) << 2);
      multiplyTile(part.call.wide, tile, panel, depth, part.zeros, 0, place, SSD_PADDED << 2);
    }
  }
}

/** Panels of u = d x, and of u times what is left of it at the chunk's end. */
export function takeInputs(part: SsdPart, head: i32, start: i32, count: i32): void {
  const call = part.call;
  const x = part.x + <usize>start * call.xStride + ((<usize>head * <usize>call.headDim) << 2);
  const stride: usize = SSD_CHUNK << 6;
  scalePanels(x, call.xStride, call.headDim, count, part.stepSizes, part.inputs, stride);
  for (let panel = 0; panel < part.panels; panel++) {
    const offset = <usize>panel * stride;
    scaleRows(part.inputs + offset, count, part.left, part.leftInputs + offset);
  }
}

/** y of a chunk of a head; `state` is 0 where the state before it is zero. */
function outputs(part: SsdPart, call: SsdScanCall, head: i32, start: i32, count: i32, state: usize): void {
  const height = part.height;
  for (let i = 0; i < count; i += height) {
    for (let panel = 0; panel < part.panels; panel++) {
      if (state != 0) stateTile(part, i, panel, state);
      chunkTile(part, i, panel, min(i + height, count), state != 0);
      finish(part, call, head, start + i, min(height, count - i), panel << 4);
    }
  }
}

/** The part of a tile of y that comes from the state before the chunk: rows from i on. */
export function stateTile(part: SsdPart, i: i32, panel: i32, state: usize): void {
  const depth = part.call.state;
  const rows = part.rowsC + ((<usize>i * <usize>depth) << 2);
  const states = state + <usize>panel * (<usize>part.stateRows << 6);
  multiplyTile(part.call.wide, rows, states, depth, part.zeros, 0, part.tile, 64);
  scaleRows(part.tile, part.height, part.kept + (<usize>i << 2), part.tile);
}

/** The tile plus the part that comes from the chunk's own steps before `end`; alone where there is no `base`. */
export function chunkTile(part: SsdPart, i: i32, panel: i32, end: i32, base: bool): void {
  const rows = part.rowsDecayed + (<usize>(i * SSD_CHUNK) << 2);
  const inputs = part.inputs + <usize>panel * (SSD_CHUNK << 6);
  const tile = part.tile;
  multiplyTile(part.call.wide, rows, inputs, end, base ? tile : part.zeros, base ? 64 : 0, tile, 64);
}

/** y = (y + D x) silu(z) for the rows of a tile. */
function finish(part: SsdPart, call: SsdScanCall, head: i32, step: i32, rows: i32, channel: i32): void {
  const width = min(16, call.headDim - channel);
  const place = (<usize>head * <usize>call.headDim + <usize>channel) << 2;
  const steps = <usize>part.row * <usize>call.length + <usize>step;
  let x = part.x + <usize>step * call.xStride + place;
  let z = part.z == 0 ? <usize>0 : part.z + <usize>step * call.zStride + place;
  let y = call.y + steps * call.yStride + place;
  let from = part.tile;
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < width; c += 4) {
      const rest = width - c;
      const offset = <usize>c << 2;
      let value = v128.load(from + offset);
      if (call.D != 0) value = madd(skip(call, head, channel + c, rest), loadPart(x + offset, rest), value);
      if (z != 0) value = f32x4.mul(value, silu(loadPart(z + offset, rest)));
      storePart(y + offset, value, rest);
    }
    x += call.xStride;
    if (z != 0) z += call.zStride;
    y += call.yStride;
    from += 64;
  }
}

/** D of up to four channels of a head. @inline */
export function skip(call: SsdInputs, head: i32, channel: i32, count: i32): v128 {
  if (!call.wideD) return v128.load32_splat(call.D + (<usize>head << 2));
  return loadPart(call.D + ((<usize>head * <usize>call.headDim + <usize>channel) << 2), count);
}

export function advance(part: SsdPart, state: usize, count: i32): void {
  const rowsStride = (<usize>count * <usize>part.height) << 2;
  const decay = load<f32>(part.kept + (<usize>(count - 1) << 2));
  advanceState(part, state, decay, part.statesB, rowsStride, part.leftInputs, SSD_CHUNK << 6, count);
}
