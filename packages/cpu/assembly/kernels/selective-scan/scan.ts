/**
 * Selective scan: y_t = C_t · h_t + D u_t, gated by silu(z_t), where h_t decays by exp(d A) and takes d B_t u_t.
 *
 * A task is a range of channels of one group and one batch row. Every eight channels are computed alike in whatever
 * task they are, so any number of threads gives the same bits.
 *
 * Channels are the vector, eight at a time (a block). A and the state are transposed once to blocks `[state, 8]`, so B
 * and C are broadcasts, there are no horizontal sums, and any number of states is exact. Time runs in tiles of
 * `tileSteps` steps, three passes each:
 *   1. prepare: d = softplus(delta + deltaBias) and d u into blocks `[tileSteps, 8]`; rows of delta and u are read in
 *      order;
 *   2. for each block, two states of eight channels in four v128 locals over all steps of the tile; y accumulates in
 *      `[tileSteps, 8]`;
 *   3. finish: y = (y + D u) silu(z); rows of z are read, and rows of y are written, in order.
 *
 * So u, delta and z are read from memory once and y is written once; the blocks stay in the second-level cache (see
 * `TILE_STEPS` in call.ts); nothing of size `[length, dim, state]` exists.
 *
 * The decay is 2^x with x = d (A log2 e). With n the nearest integer and r = x - n it is never rounded to one float:
 *     h' = s h + (s h (2^r - 1) + d u B)      s = 2^n
 * which keeps decays very close to 1 exact (a rounded exp(d A) would drift by up to 3e-8 a step). 2^r - 1 is a
 * polynomial of degree 5: the relative error of 2^x is below 1.6e-7 for the x it is given; d A rounds as floats do
 * (1.2e-7 of |x|), which is below 1e-7 of the state in all. 2^x is 0 below x = -126.5. Where decays are near 1 the
 * rounding of the state is carried along as well, from tile to tile; a single step, and the last state, are rounded to
 * float32.
 *
 * Pass 2 has three forms. decay.ts takes Euler steps with d A ≤ 0, which is what models have. general.ts takes all else
 * (growing systems, zoh, bilinear, constant B or C), and again a block whose state is no longer finite after decay.ts:
 * an infinite state times a decay is infinite, but not in the form above. step.ts takes a call of one step (decode),
 * without blocks.
 */
import { fromBlocks } from './blocks';
import { Discretization, isReset, keptOffset, locate, nextReset, ScanCall, ScanPart } from './call';
import { finish, prepare } from './prepare';
import { step } from './step';
import { advanceBlock, loadBlocks, resetStates, startTile } from './tile';

/** Runs a task of the call. */
export function scan(call: ScanCall, task: i32, thread: i32): void {
  const part = changetype<ScanPart>(call.scratch + <usize>thread * call.scratchStride);
  locate(part, call, task);
  const h = call.lastState + part.stateOffset;
  const y = call.y + part.activationOffset;
  const bytes = <usize>(part.channels * call.state) << 2;
  if (call.initialState == 0) memory.fill(h, 0, bytes);
  else if (call.initialState != call.lastState) memory.copy(h, call.initialState + part.stateOffset, bytes);
  if (call.states != 0) memory.copy(call.states + keptOffset(part, 0), h, bytes);
  const varying = !call.constantB && !call.constantC;
  if (call.length == 1 && call.discretization == Discretization.EULER && varying) oneStep(part, h, y);
  else manySteps(part, call.states, h, y);
}

/** h is the state `[channels, state]`, first the initial and finally the last one. */
function oneStep(part: ScanPart, h: usize, y: usize): void {
  if (isReset(part, 0)) memory.fill(h, 0, <usize>(part.channels * part.call.state) << 2);
  prepare(part, 0, 1);
  step(part, h);
  finish(part, y, 0, 1);
}

function manySteps(part: ScanPart, states: usize, h: usize, y: usize): void {
  const call = part.call;
  const length = call.length;
  const tileSteps = call.tileSteps;
  const decaying = loadBlocks(part, h);
  for (let start = 0; start < length; start += tileSteps) {
    const end = min(start + tileSteps, length);
    startTile(part, start, end - start);
    if (states != 0 && start > 0) {
      fromBlocks(part.blockH, part.channels, call.state, states + keptOffset(part, start / tileSteps));
    }
    for (let first = start; first < end; ) {
      const next = nextReset(part, first, end);
      if (isReset(part, first)) resetStates(part);
      for (let block = 0; block < part.blocks; block++) advanceBlock(part, block, first, next - first, decaying, true);
      first = next;
    }
    finish(part, y, start, end - start);
  }
  fromBlocks(part.blockH, part.channels, call.state, h);
}
