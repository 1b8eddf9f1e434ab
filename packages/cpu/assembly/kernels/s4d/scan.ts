/**
 * The scan of S4D: S = Abar S + Bbar u and y = D u + Re Σ f C S, for complex states whose system does not vary with
 * time. Channels are the vector. A task is up to four blocks of four channels of one batch row; for each tile of time
 * and each block, pairs of states go over the tile one after the other and add to its y in the first-level cache. u and
 * y pass through memory once.
 */
import { loadPart } from '../../lib/lanes';
import { madd } from '../../lib/madd';
import { Field, S4D_RECORD } from './system';
import {
  isReset, loadStates, loadTile, marksOf, rowsBefore, S4dInputs, storeStates, storeTile, S4D_TASK_BLOCKS, S4D_TILE,
} from './tile';

@unmanaged
export class S4dCall extends S4dInputs {
  y: usize;
  lastState: usize;
}

/** Runs a task. A thread's scratch holds the tiles of u and y, and the states of the task's blocks. */
export function s4dScan(call: S4dCall, task: i32, thread: i32): void {
  const ranges = (call.dim + 4 * S4D_TASK_BLOCKS - 1) / (4 * S4D_TASK_BLOCKS);
  const row = task / ranges;
  const first = (task % ranges) * 4 * S4D_TASK_BLOCKS;
  const end = min(first + 4 * S4D_TASK_BLOCKS, call.dim);
  const rowStride = <usize>call.dim << 2;
  const offset = rowsBefore(call, row);
  const marks = marksOf(call, row);
  const tileU = call.scratch + <usize>thread * call.scratchStride;
  const tileY = tileU + (S4D_TILE << 4);
  const states = tileY + (S4D_TILE << 4);
  const blockStates = <usize>call.records << 5;
  for (let channel = first; channel < end; channel += 4) {
    const block = states + <usize>((channel - first) >> 2) * blockStates;
    loadStates(call, call.initialState, row, channel, min(4, end - channel), block);
  }
  for (let start = 0; start < call.length; start += S4D_TILE) {
    const count = min(S4D_TILE, call.length - start);
    for (let channel = first; channel < end; channel += 4) {
      const channels = min(4, end - channel);
      const at = offset + <usize>start * rowStride + (<usize>channel << 2);
      loadTile(call.u + at, rowStride, channels, count, tileU);
      skip(call, channel, channels, tileU, tileY, count);
      const system = call.system + <usize>((channel >> 2) * call.records) * S4D_RECORD;
      const block = states + <usize>((channel - first) >> 2) * blockStates;
      for (let n = 0; n < call.records; n += 2)
        advance(system + <usize>n * S4D_RECORD, block + (<usize>n << 5), tileU, tileY, marks, start, count);
      storeTile(tileY, call.y + at, rowStride, channels, count);
    }
  }
  for (let channel = first; channel < end; channel += 4) {
    const block = states + <usize>((channel - first) >> 2) * blockStates;
    storeStates(call, block, call.lastState, row, channel, min(4, end - channel));
  }
}

/** y = D u, or 0. */
function skip(call: S4dCall, channel: i32, channels: i32, u: usize, y: usize, count: i32): void {
  if (call.D == 0) {
    memory.fill(y, 0, <usize>count << 4);
    return;
  }
  const D = loadPart(call.D + (<usize>channel << 2), channels);
  for (let t = 0; t < count; t++) {
    const at = <usize>t << 4;
    v128.store(y + at, f32x4.mul(D, v128.load(u + at)));
  }
}

/** Takes two states over a tile. */
function advance(system: usize, states: usize, u: usize, y: usize, marks: usize, start: i32, count: i32): void {
  const next = system + S4D_RECORD;
  let re0 = v128.load(states);
  let im0 = v128.load(states, 16);
  let re1 = v128.load(states, 32);
  let im1 = v128.load(states, 48);
  for (let t = 0; t < count; t++) {
    if (isReset(marks, start + t)) {
      re0 = f32x4.splat(0);
      im0 = re0;
      re1 = re0;
      im1 = re0;
    }
    const at = <usize>t << 4;
    const input = v128.load(u + at);
    const before0 = re0;
    const before1 = re1;
    re0 = madd(v128.load(system, Field.DECAY_RE), re0, f32x4.mul(v128.load(system, Field.INPUT_RE), input));
    re1 = madd(v128.load(next, Field.DECAY_RE), re1, f32x4.mul(v128.load(next, Field.INPUT_RE), input));
    re0 = f32x4.sub(re0, f32x4.mul(v128.load(system, Field.DECAY_IM), im0));
    re1 = f32x4.sub(re1, f32x4.mul(v128.load(next, Field.DECAY_IM), im1));
    im0 = madd(v128.load(system, Field.DECAY_RE), im0, f32x4.mul(v128.load(system, Field.INPUT_IM), input));
    im1 = madd(v128.load(next, Field.DECAY_RE), im1, f32x4.mul(v128.load(next, Field.INPUT_IM), input));
    im0 = madd(v128.load(system, Field.DECAY_IM), before0, im0);
    im1 = madd(v128.load(next, Field.DECAY_IM), before1, im1);
    const real = madd(v128.load(next, Field.C_RE), re1, f32x4.mul(v128.load(system, Field.C_RE), re0));
    const imaginary = madd(v128.load(next, Field.C_IM), im1, f32x4.mul(v128.load(system, Field.C_IM), im0));
    v128.store(y + at, f32x4.add(v128.load(y + at), f32x4.sub(real, imaginary)));
  }
  v128.store(states, re0);
  v128.store(states, im0, 16);
  v128.store(states, re1, 32);
  v128.store(states, im1, 48);
}
