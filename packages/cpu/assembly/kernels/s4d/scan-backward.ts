/**
 * The backward of the scan of S4D: reverse mode through scan.ts. With G the gradient of S, ' for the conjugate, and f
 * in C:
 *
 *     G_t = dy_t C' + Abar' G_(t+1)          du_t = D dy_t + Re Σ_n Bbar' G_t
 *     dAbar = Σ S_(t-1)' G_t                 dBbar = Σ u_t G_t                  dC = Σ dy_t S_t'
 *
 * A task is up to four blocks of four channels of one batch row, block by block. It first runs the recurrence and keeps
 * the states before each tile. Then it takes the tiles from the last to the first; each state goes forward over the
 * tile, keeping its values in the first-level cache, and backward with G. Sums go to a record for each row of the
 * batch, which later commands add up. Memory is 2 state / S4D_TILE floats for a step of a channel, in the scratch of a
 * thread.
 */
import { loadPart, storePart } from '../../lib/lanes';
import { madd } from '../../lib/madd';
import { Field, S4D_RECORD } from './system';
import {
  isReset, loadStates, loadTile, marksOf, rowsBefore, S4dInputs, storeStates, storeTile, S4D_TASK_BLOCKS, S4D_TILE,
} from './tile';

@unmanaged
export class S4dBackwardCall extends S4dInputs {
  dy: usize;
  dLastState: usize;
  du: usize;
  /** Partial sums `[batch, dim]`; 0 where D is absent. */
  dD: usize;
  dInitialState: usize;
  /** Partial sums `[batch, blocks, records]` of the gradients of `system`. */
  gradients: usize;
}

/** Runs a task. A thread's scratch holds tiles, states of a tile, G, and the states before each tile. */
export function s4dScanBackward(call: S4dBackwardCall, task: i32, thread: i32): void {
  const ranges = (call.dim + 4 * S4D_TASK_BLOCKS - 1) / (4 * S4D_TASK_BLOCKS);
  const row = task / ranges;
  const first = (task % ranges) * 4 * S4D_TASK_BLOCKS;
  const end = min(first + 4 * S4D_TASK_BLOCKS, call.dim);
  for (let channel = first; channel < end; channel += 4) block(call, row, channel, min(4, end - channel), thread);
}

function block(call: S4dBackwardCall, row: i32, channel: i32, channels: i32, thread: i32): void {
  const rowStride = <usize>call.dim << 2;
  const offset = rowsBefore(call, row) + (<usize>channel << 2);
  const marks = marksOf(call, row);
  const tile = S4D_TILE << 4;
  const u = call.scratch + <usize>thread * call.scratchStride;
  const dy = u + tile;
  const du = dy + tile;
  const kept = du + tile;
  const G = kept + 2 * tile + 32;
  const states = <usize>call.records << 5;
  const starts = G + states;
  const blocks = (call.dim + 3) >> 2;
  const system = call.system + <usize>((channel >> 2) * call.records) * S4D_RECORD;
  const sums = call.gradients + <usize>((row * blocks + (channel >> 2)) * call.records) * S4D_RECORD;
  const tiles = (call.length + S4D_TILE - 1) / S4D_TILE;

  loadStates(call, call.initialState, row, channel, channels, starts);
  for (let index = 1; index < tiles; index++) {
    const start = (index - 1) * S4D_TILE;
    const from = starts + <usize>(index - 1) * states;
    loadTile(call.u + offset + <usize>start * rowStride, rowStride, channels, S4D_TILE, u);
    for (let n = 0; n < call.records; n++) {
      const at = <usize>n << 5;
      const last = forward(system + <usize>n * S4D_RECORD, from + at, u, kept, marks, start, S4D_TILE);
      memory.copy(from + states + at, last, 32);
    }
  }

  loadStates(call, call.dLastState, row, channel, channels, G);
  memory.fill(sums, 0, <usize>call.records * S4D_RECORD);
  let dD = f32x4.splat(0);
  const D = call.D == 0 ? f32x4.splat(0) : loadPart(call.D + (<usize>channel << 2), channels);
  for (let index = tiles - 1; index >= 0; index--) {
    const start = index * S4D_TILE;
    const count = min(S4D_TILE, call.length - start);
    const at = offset + <usize>start * rowStride;
    loadTile(call.u + at, rowStride, channels, count, u);
    loadTile(call.dy + at, rowStride, channels, count, dy);
    for (let step: usize = 0; step < <usize>count << 4; step += 16) {
      const cotangent = v128.load(dy + step);
      dD = madd(cotangent, v128.load(u + step), dD);
      v128.store(du + step, call.D == 0 ? f32x4.splat(0) : f32x4.mul(D, cotangent));
    }
    for (let n = 0; n < call.records; n++) {
      const record = <usize>n * S4D_RECORD;
      const state = <usize>n << 5;
      forward(system + record, starts + <usize>index * states + state, u, kept, marks, start, count);
      backward(system + record, G + state, sums + record, u, dy, du, kept, marks, start, count);
    }
    storeTile(du, call.du + at, rowStride, channels, count);
  }
  if (call.dD != 0) storePart(call.dD + ((<usize>row * <usize>call.dim + channel) << 2), dD, channels);
  if (call.dInitialState != 0) storeStates(call, G, call.dInitialState, row, channel, channels);
}

/**
 * Takes a state over a tile, and keeps it before the tile and after each step, as pairs of vectors. Returns the address
 * of the last pair.
 */
function forward(system: usize, state: usize, u: usize, kept: usize, marks: usize, start: i32, count: i32): usize {
  let re = v128.load(state);
  let im = v128.load(state, 16);
  v128.store(kept, re);
  v128.store(kept, im, 16);
  for (let t = 0; t < count; t++) {
    if (isReset(marks, start + t)) {
      re = f32x4.splat(0);
      im = re;
    }
    const input = v128.load(u + (<usize>t << 4));
    const before = re;
    re = madd(v128.load(system, Field.DECAY_RE), re, f32x4.mul(v128.load(system, Field.INPUT_RE), input));
    re = f32x4.sub(re, f32x4.mul(v128.load(system, Field.DECAY_IM), im));
    im = madd(v128.load(system, Field.DECAY_RE), im, f32x4.mul(v128.load(system, Field.INPUT_IM), input));
    im = madd(v128.load(system, Field.DECAY_IM), before, im);
    kept += 32;
    v128.store(kept, re);
    v128.store(kept, im, 16);
  }
  return kept;
}

/** Takes G of a state back over a tile, adds to du, and adds to the sums of the state's record. */
function backward(
  system: usize, G: usize, sums: usize, u: usize, dy: usize, du: usize, kept: usize, marks: usize, start: i32,
  count: i32,
): void {
  let re = v128.load(G);
  let im = v128.load(G, 16);
  let decayRe = v128.load(sums, Field.DECAY_RE);
  let decayIm = v128.load(sums, Field.DECAY_IM);
  let inputRe = v128.load(sums, Field.INPUT_RE);
  let inputIm = v128.load(sums, Field.INPUT_IM);
  let cRe = v128.load(sums, Field.C_RE);
  let cIm = v128.load(sums, Field.C_IM);
  for (let t = count - 1; t >= 0; t--) {
    const at = <usize>t << 4;
    const input = v128.load(u + at);
    const cotangent = v128.load(dy + at);
    const after = kept + (<usize>(t + 1) << 5);
    re = madd(cotangent, v128.load(system, Field.C_RE), re);
    im = f32x4.sub(im, f32x4.mul(cotangent, v128.load(system, Field.C_IM)));
    cRe = madd(cotangent, v128.load(after), cRe);
    cIm = f32x4.sub(cIm, f32x4.mul(cotangent, v128.load(after, 16)));
    inputRe = madd(input, re, inputRe);
    inputIm = madd(input, im, inputIm);
    const back = madd(v128.load(system, Field.INPUT_IM), im, f32x4.mul(v128.load(system, Field.INPUT_RE), re));
    v128.store(du + at, f32x4.add(v128.load(du + at), back));
    if (isReset(marks, start + t)) {
      re = f32x4.splat(0);
      im = re;
      continue;
    }
    const beforeRe = v128.load(after - 32);
    const beforeIm = v128.load(after - 16);
    decayRe = madd(beforeRe, re, madd(beforeIm, im, decayRe));
    decayIm = madd(beforeRe, im, f32x4.sub(decayIm, f32x4.mul(beforeIm, re)));
    const previous = re;
    re = madd(v128.load(system, Field.DECAY_RE), re, f32x4.mul(v128.load(system, Field.DECAY_IM), im));
    im = f32x4.sub(
      f32x4.mul(v128.load(system, Field.DECAY_RE), im),
      f32x4.mul(v128.load(system, Field.DECAY_IM), previous),
    );
  }
  v128.store(G, re);
  v128.store(G, im, 16);
  v128.store(sums, decayRe, Field.DECAY_RE);
  v128.store(sums, decayIm, Field.DECAY_IM);
  v128.store(sums, inputRe, Field.INPUT_RE);
  v128.store(sums, inputIm, Field.INPUT_IM);
  v128.store(sums, cRe, Field.C_RE);
  v128.store(sums, cIm, Field.C_IM);
}
