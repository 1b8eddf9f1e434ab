/**
 * The backward of Mamba-2's scan, in the chunks of scan.ts there. With u = d x, M = L ∘ C Bᵀ, S the state before a
 * chunk, G the gradient of the state behind it, α the sums of d A, ds = dy silu(z), and α_l that of the last step:
 *
 *     (du)_j = Σ_(i ≥ j) M_ij ds_i + exp(α_l - α_j) G B_j
 *     (dB)_j = Σ_heads (Σ_(i ≥ j) (L ∘ ds uᵀ)_ij C_i + exp(α_l - α_j) Gᵀ u_j)
 *     (dC)_i = Σ_heads (Σ_(j ≤ i) (L ∘ ds uᵀ)_ij B_j + exp(α_i) Sᵀ ds_i)
 *     G'   = exp(α_l) G + Σ_i exp(α_i) ds_i C_iᵀ
 *
 * The gradient of (d A)_t is the sum of all that passes through the decay of step t: from a j < t to an i ≥ t, from S
 * to an i ≥ t, from a j < t to behind the chunk, and from S to behind it. Each of these is added up by itself
 * (steps.ts). The difference of two sums over all pairs would be shorter, but cancels: a step that forgets all passes
 * nothing on, beside steps that pass on everything.
 *
 * A task is a range of heads of one group and one batch row. It first runs the scan without its outputs and keeps the
 * states before each chunk in the thread's scratch, then takes the chunks from the last to the first. dB and dC are
 * summed over its heads, and over tasks by a later command. Sums have an order that depends on the shape alone.
 */
import { sigmoid, silu, siluSlope } from '../../lib/activations';
import { loadPart, storePart, sum } from '../../lib/lanes';
import { madd } from '../../lib/madd';
import { multiplyTile } from '../linear-tile';
import { SSD_CHUNK, SSD_PADDED } from '../ssd-scan/call';
import { packColumns, packRows, scalePanels, scaleRows } from '../ssd-scan/panels';
import { advance, chunkTile, skip, stateOffset, stateTile, takeGroup, takeInputs } from '../ssd-scan/scan';
import { advanceState, loadState, storeState } from '../ssd-scan/states';
import { decayGram, takeSteps } from '../ssd-scan/steps';
import { locateBackward, SsdBackwardPart, SsdScanBackwardCall } from './call';
import { finishSelective, startSelective, takeSelective } from './selective';
import { finishSteps } from './steps';

/** Runs a task of the call. */
export function ssdScanBackward(call: SsdScanBackwardCall, task: i32, thread: i32): void {
  const part = changetype<SsdBackwardPart>(call.scratch + <usize>thread * call.scratchStride);
  locateBackward(part, call, task);
  keepStates(part);
  for (let head = 0; head < part.heads; head++) {
    const given = call.dLastState == 0 ? <usize>0 : call.dLastState + stateOffset(part, part.head + head);
    loadState(part, given, part.adjoints + <usize>head * part.stateBytes);
  }
  memory.fill(part.shared, 0, <usize>part.heads * part.sharedBytes);
  for (let chunk = part.chunks - 1; chunk >= 0; chunk--) {
    const start = chunk * SSD_CHUNK;
    const count = min(SSD_CHUNK, call.length - start);
    takeGroup(part, start, count);
    startSelective(part, start, count);
    for (let head = 0; head < part.heads; head++) headBackward(part, head, chunk, start, count);
    finishSelective(part, start, count);
  }
  storeShared(part);
}

/** Runs the scan up to the last chunk, and keeps the state of each head before each chunk. */
function keepStates(part: SsdBackwardPart): void {
  const call = part.backward;
  for (let head = 0; head < part.heads; head++) {
    const given = call.initialState == 0 ? <usize>0 : call.initialState + stateOffset(part, part.head + head);
    loadState(part, given, part.states + <usize>head * part.stateBytes);
  }
  for (let chunk = 0; chunk < part.chunks; chunk++) {
    const start = chunk * SSD_CHUNK;
    const more = chunk + 1 < part.chunks;
    if (more) {
      const B = part.B + <usize>start * call.stepStride;
      packColumns(B, call.stepStride, call.state, SSD_CHUNK, part.height, part.statesB);
    }
    for (let head = 0; head < part.heads; head++) {
      const state = part.states + <usize>head * part.stateBytes;
      memory.copy(startOf(part, head, chunk), state, part.stateBytes);
      if (!more) continue;
      takeSteps(part, part.head + head, start, SSD_CHUNK);
      takeInputs(part, part.head + head, start, SSD_CHUNK);
      advance(part, state, SSD_CHUNK);
    }
  }
}

/** @inline */
function startOf(part: SsdBackwardPart, head: i32, chunk: i32): usize {
  return part.starts + <usize>(head * part.chunks + chunk) * part.stateBytes;
}

/** A chunk of one head of the task. */
function headBackward(part: SsdBackwardPart, head: i32, chunk: i32, start: i32, count: i32): void {
  const call = part.backward;
  const height = part.height;
  const state = startOf(part, head, chunk);
  const adjoint = part.adjoints + <usize>head * part.stateBytes;
  const shared = part.shared + <usize>head * part.sharedBytes;
  takeSteps(part, part.head + head, start, count);
  takeInputs(part, part.head + head, start, count);
  decayGram(part, count, true, part.gram, part.decayed);
  packRows(part.decayed, SSD_PADDED << 2, count, SSD_CHUNK, height, part.rowsDecayed);
  takeRows(part, part.head + head, start, count);
  memory.fill(part.along, 0, (SSD_PADDED << 2) * 3);
  for (let i = 0; i < count; i += height) {
    for (let panel = 0; panel < part.panels; panel++) {
      stateTile(part, i, panel, state);
      sumAlong(part, i, min(height, count - i), panel);
      if (part.z != 0) chunkTile(part, i, panel, min(i + height, count), true);
      outputsBack(part, part.head + head, start, i, min(height, count - i), panel, shared + 16);
    }
  }
  // Columns take the place of rows, which are done with.
  packColumns(part.decayed, SSD_PADDED << 2, count, count, height, part.rowsDecayed);
  for (let j = 0; j < count; j += height) {
    for (let panel = 0; panel < part.panels; panel++) {
      inputTiles(part, j, panel, count, adjoint);
      inputsBack(part, part.head + head, start, j, min(height, count - j), panel);
    }
  }
  takeSelective(part, state, adjoint, count);
  const decay = load<f32>(part.kept + (<usize>(count - 1) << 2));
  const passed = <f64>decay * dot(state, adjoint, part.stateBytes);
  finishSteps(part, part.head + head, start, count, passed, shared);
  const rowsStride = (<usize>count * <usize>height) << 2;
  advanceState(part, adjoint, decay, part.statesC, rowsStride, part.keptCotangents, SSD_CHUNK << 6, count);
  if (chunk == 0 && call.dInitialState != 0) {
    storeState(part, adjoint, call.dInitialState + stateOffset(part, part.head + head));
  }
}

/** Rows, tiles and panels of u and of ds = dy silu(z). */
function takeRows(part: SsdBackwardPart, head: i32, start: i32, count: i32): void {
  const call = part.backward;
  const headDim = call.headDim;
  const place = (<usize>head * <usize>headDim) << 2;
  const dense = (<usize>call.heads * <usize>headDim) << 2;
  let x = part.x + <usize>start * call.xStride + place;
  let z = part.z == 0 ? <usize>0 : part.z + <usize>start * call.zStride + place;
  let dy = call.dy + (<usize>part.row * <usize>call.length + <usize>start) * dense + place;
  let u = part.u;
  let ds = part.ds;
  for (let t = 0; t < count; t++) {
    const d = v128.load32_splat(part.stepSizes + (<usize>t << 2));
    for (let p = 0; p < headDim; p += 4) {
      const rest = headDim - p;
      const at = <usize>p << 2;
      v128.store(u + at, f32x4.mul(loadPart(x + at, rest), d));
      let value = loadPart(dy + at, rest);
      if (z != 0) value = f32x4.mul(value, silu(loadPart(z + at, rest)));
      v128.store(ds + at, value);
    }
    x += call.xStride;
    if (z != 0) z += call.zStride;
    dy += dense;
    u += part.rowBytes;
    ds += part.rowBytes;
  }
  const stride: usize = SSD_CHUNK << 6;
  packRows(part.ds, part.rowBytes, count, headDim, part.height, part.rowsDs);
  scalePanels(part.ds, part.rowBytes, headDim, count, part.ones, part.cotangents, stride);
  scalePanels(part.ds, part.rowBytes, headDim, count, part.kept, part.keptCotangents, stride);
}

/** Adds ds · y of the part of y that comes from the state before the chunk. */
function sumAlong(part: SsdBackwardPart, i: i32, rows: i32, panel: i32): void {
  const channel = panel << 4;
  const width = min(16, part.call.headDim - channel);
  let ds = part.ds + <usize>i * part.rowBytes + (<usize>channel << 2);
  let from = part.tile;
  for (let row = 0; row < rows; row++) {
    let along = f32x4.splat(0);
    for (let c = 0; c < width; c += 4) {
      const offset = <usize>c << 2;
      along = madd(kept(v128.load(ds + offset), width - c), v128.load(from + offset), along);
    }
    addTo(part.along, i + row, along);
    ds += part.rowBytes;
    from += 64;
  }
}

/** From a tile of y without the diagonal and the skip: dz, and the gradient of D. */
function outputsBack(
  part: SsdBackwardPart, head: i32, start: i32, i: i32, rows: i32, panel: i32, dD: usize,
): void {
  const call = part.backward;
  const channel = panel << 4;
  const width = min(16, call.headDim - channel);
  const place = (<usize>head * <usize>call.headDim + <usize>channel) << 2;
  const dense = (<usize>call.heads * <usize>call.headDim) << 2;
  dD += <usize>channel << 2;
  for (let row = 0; row < rows; row++) {
    const t = i + row;
    const at = <usize>part.row * <usize>call.length + <usize>(start + t);
    const x = part.x + <usize>(start + t) * call.xStride + place;
    const inRow = <usize>t * part.rowBytes + (<usize>channel << 2);
    const diagonal = v128.load32_splat(part.gram + (<usize>(t * SSD_PADDED + t) << 2));
    const from = part.tile + (<usize>row << 6);
    for (let c = 0; c < width; c += 4) {
      const rest = width - c;
      const offset = <usize>c << 2;
      const ds = v128.load(part.ds + inRow + offset);
      const value = loadPart(x + offset, rest);
      storePart(dD + offset, madd(ds, value, v128.load(dD + offset)), rest);
      if (part.z == 0) continue;
      let s = madd(diagonal, v128.load(part.u + inRow + offset), v128.load(from + offset));
      if (call.D != 0) s = madd(skip(call, head, channel + c, rest), value, s);
      const z = loadPart(part.z + <usize>(start + t) * call.zStride + place + offset, rest);
      const dy = loadPart(call.dy + at * dense + place + offset, rest);
      storePart(call.dz + at * dense + place + offset, f32x4.mul(f32x4.mul(dy, s), siluSlope(z, sigmoid(z))), rest);
    }
  }
}

/** The first `count` values, and zeros behind them, where rows hold anything. @inline */
function kept(value: v128, count: i32): v128 {
  if (count >= 4) return value;
  return v128.and(value, i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count)));
}

/** @inline */
function addTo(sums: usize, t: i32, value: v128): void {
  const at = sums + (<usize>t << 2);
  store<f32>(at, load<f32>(at) + sum(value));
}

/** Tiles of du from later steps of the chunk, and of du from behind it. */
function inputTiles(part: SsdBackwardPart, j: i32, panel: i32, count: i32, adjoint: usize): void {
  const wide = part.call.wide;
  const height = part.height;
  const offset = <usize>panel * (SSD_CHUNK << 6);
  const columns = part.rowsDecayed + (<usize>(j * count + j * height) << 2);
  const cotangents = part.cotangents + offset + (<usize>j << 6);
  multiplyTile(wide, columns, cotangents, count - j, part.zeros, 0, part.tile, 64);
  const depth = part.call.state;
  const rows = part.rowsB + ((<usize>j * <usize>depth) << 2);
  multiplyTile(wide, rows, adjoint + <usize>panel * (<usize>part.stateRows << 6), depth, part.zeros, 0, part.other, 64);
  scaleRows(part.other, height, part.left + (<usize>j << 2), part.other);
}

/** From tiles of du without the diagonal: dx, and the sums u · du from behind the chunk and x · du. */
function inputsBack(part: SsdBackwardPart, head: i32, start: i32, j: i32, rows: i32, panel: i32): void {
  const call = part.backward;
  const channel = panel << 4;
  const width = min(16, call.headDim - channel);
  const place = (<usize>head * <usize>call.headDim + <usize>channel) << 2;
  const dense = (<usize>call.heads * <usize>call.headDim) << 2;
  for (let row = 0; row < rows; row++) {
    const t = j + row;
    const inRow = <usize>t * part.rowBytes + (<usize>channel << 2);
    const x = part.x + <usize>(start + t) * call.xStride + place;
    const dx = call.dx + (<usize>part.row * <usize>call.length + <usize>(start + t)) * dense + place;
    const diagonal = v128.load32_splat(part.gram + (<usize>(t * SSD_PADDED + t) << 2));
    const d = v128.load32_splat(part.stepSizes + (<usize>t << 2));
    const from = <usize>row << 6;
    let behind = f32x4.splat(0);
    let entered = behind;
    for (let c = 0; c < width; c += 4) {
      const rest = width - c;
      const offset = <usize>c << 2;
      const u = kept(v128.load(part.u + inRow + offset), rest);
      const ds = v128.load(part.ds + inRow + offset);
      const inside = v128.load(part.tile + from + offset);
      const beyond = v128.load(part.other + from + offset);
      const du = madd(diagonal, ds, f32x4.add(inside, beyond));
      behind = madd(u, beyond, behind);
      entered = madd(kept(du, rest), loadPart(x + offset, rest), entered);
      let value = f32x4.mul(d, du);
      if (call.D != 0) value = madd(skip(call, head, channel + c, rest), ds, value);
      storePart(dx + offset, value, rest);
    }
    addTo(part.behind, t, behind);
    addTo(part.entered, t, entered);
  }
}

/** Σ a b over `bytes`, whole vectors of sixteen; the sums of each thousand are added in float64. */
function dot(a: usize, b: usize, bytes: usize): f64 {
  let total: f64 = 0;
  for (let done: usize = 0; done < bytes; ) {
    const end = min<usize>(done + 4096, bytes);
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    for (; done < end; done += 64) {
      s0 = madd(v128.load(a + done), v128.load(b + done), s0);
      s1 = madd(v128.load(a + done, 16), v128.load(b + done, 16), s1);
      s2 = madd(v128.load(a + done, 32), v128.load(b + done, 32), s2);
      s3 = madd(v128.load(a + done, 48), v128.load(b + done, 48), s3);
    }
    total += <f64>sum(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
  }
  return total;
}

/** Writes the gradients of A, dtBias and D of the task's heads, as parts of the batch row. */
function storeShared(part: SsdBackwardPart): void {
  const call = part.backward;
  const headDim = call.headDim;
  for (let head = 0; head < part.heads; head++) {
    const shared = part.shared + <usize>head * part.sharedBytes;
    const index = <usize>(part.row * call.heads + part.head + head);
    store<f32>(call.dA + (index << 2), <f32>load<f64>(shared));
    if (call.dDtBias != 0) store<f32>(call.dDtBias + (index << 2), <f32>load<f64>(shared, 8));
    if (call.dD == 0) continue;
    if (call.wideD) {
      memory.copy(call.dD + ((index * <usize>headDim) << 2), shared + 16, <usize>headDim << 2);
      continue;
    }
    let total: f64 = 0;
    for (let p = 0; p < headDim; p++) total += <f64>load<f32>(shared + 16 + (<usize>p << 2));
    store<f32>(call.dD + (index << 2), <f32>total);
  }
}
