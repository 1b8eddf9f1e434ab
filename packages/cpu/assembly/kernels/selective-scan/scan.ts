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
 * `TILE_STEPS` in src/operations/selective-scan.ts); nothing of size `[length, dim, state]` exists.
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
import { allFinite, anyNegative, anyPositive, fromBlocks, scaleToPowersOfTwo, toBlocks } from './blocks';
import { Discretization, isReset, SCAN_PART_BYTES, ScanCall, ScanPart, stepOffset } from './call';
import { decay } from './decay';
import { general } from './general';
import { finish, prepare } from './prepare';
import { step } from './step';

/** Runs a task of the call. */
export function scan(call: ScanCall, task: i32, thread: i32): void {
  const part = changetype<ScanPart>(call.scratch + <usize>thread * call.scratchStride);
  locate(part, call, task);
  const varying = !call.constantB && !call.constantC;
  if (call.length == 1 && call.discretization == Discretization.EULER && varying) oneStep(part);
  else manySteps(part);
}

/** Finds the task's channels in the call's tensors, and copies their initial state to where the last one will be. */
function locate(part: ScanPart, call: ScanCall, task: i32): void {
  const groupChannels = call.dim / call.groups;
  const ranges = (groupChannels + call.taskChannels - 1) / call.taskChannels;
  const row = <usize>(task / (ranges * call.groups));
  const group = (task / ranges) % call.groups;
  const inside = (task % ranges) * call.taskChannels;
  const channels = min(call.taskChannels, groupChannels - inside);
  const channel = <usize>(group * groupChannels + inside) << 2;
  const state = <usize>call.state;
  const parameters = channel * state;
  const steps = row * <usize>call.length;
  const activations = steps * call.rowStride + channel;
  const selective = steps * call.stepStride + ((<usize>group * state) << 2);
  const h = ((row * <usize>call.dim * state) << 2) + parameters;
  const bytes = (<usize>channels * state) << 2;
  part.call = call;
  part.channels = channels;
  part.blocks = (channels + 7) >> 3;
  part.u = call.u + activations;
  part.delta = call.delta + activations;
  part.z = call.z == 0 ? <usize>0 : call.z + steps * call.zStride + channel;
  part.y = call.y + activations;
  part.A = call.A + parameters;
  part.h = call.lastState + h;
  part.D = call.D == 0 ? <usize>0 : call.D + channel;
  part.deltaBias = call.deltaBias == 0 ? <usize>0 : call.deltaBias + channel;
  part.B = call.B + (call.constantB ? parameters : selective);
  part.C = call.C + (call.constantC ? parameters : selective);
  part.resets = call.resets == 0 ? <usize>0 : call.resets + (steps << 2);

  const parameter = (<usize>part.blocks * state) << 5;
  const buffer = <usize>(part.blocks * call.tileSteps) << 5;
  part.blockA = changetype<usize>(part) + SCAN_PART_BYTES;
  part.blockH = part.blockA + parameter;
  part.blockRest = part.blockH + parameter;
  part.blockB = part.blockRest + parameter;
  part.blockC = part.blockB + (call.constantB ? parameter : 0);
  part.stepSizes = part.blockC + (call.constantC ? parameter : 0);
  part.inputs = part.stepSizes + buffer;
  part.results = part.inputs + buffer;
  part.saved = part.results + buffer;

  if (call.initialState == 0) memory.fill(part.h, 0, bytes);
  else if (call.initialState != call.lastState) memory.copy(part.h, call.initialState + h, bytes);
}

function oneStep(part: ScanPart): void {
  if (isReset(part, 0)) memory.fill(part.h, 0, <usize>(part.channels * part.call.state) << 2);
  prepare(part, 0, 1);
  step(part);
  finish(part, 0, 1);
}

function manySteps(part: ScanPart): void {
  const call = part.call;
  const channels = part.channels;
  const state = call.state;
  const length = call.length;
  const tileSteps = call.tileSteps;
  const parameter = (<usize>part.blocks * <usize>state) << 5;
  const buffer = <usize>(part.blocks * tileSteps) << 5;
  toBlocks(part.A, channels, state, part.blockA);
  toBlocks(part.h, channels, state, part.blockH);
  memory.fill(part.blockRest, 0, parameter);
  if (call.constantB) toBlocks(part.B, channels, state, part.blockB);
  if (call.constantC) toBlocks(part.C, channels, state, part.blockC);
  if (call.discretization != Discretization.BILINEAR) scaleToPowersOfTwo(part.blockA, parameter);
  const euler = call.discretization == Discretization.EULER;
  const decaying = euler && !call.constantB && !call.constantC && !anyPositive(part.blockA, parameter);
  memory.fill(part.stepSizes, 0, buffer << 1);

  for (let start = 0; start < length; start += tileSteps) {
    const end = min(start + tileSteps, length);
    prepare(part, start, end - start);
    memory.fill(part.results, 0, buffer);
    for (let first = start; first < end; ) {
      if (isReset(part, first)) memory.fill(part.blockH, 0, parameter << 1);
      let next = first + 1;
      while (next < end && !isReset(part, next)) next++;
      for (let block = 0; block < part.blocks; block++) {
        if (!decaying || !tryDecay(part, block, first, next - first)) general(part, block, first, next - first);
      }
      first = next;
    }
    finish(part, start, end - start);
  }
  fromBlocks(part.blockH, channels, state, part.h);
}

/** Takes the fast path. Returns false where its result would be wrong; the block is unchanged then. */
function tryDecay(part: ScanPart, block: i32, first: i32, count: i32): bool {
  const steps = stepOffset(part, block, first);
  if (!part.call.deltaSoftplus && anyNegative(part.stepSizes + steps, <usize>count << 5)) return false;
  const bytes = <usize>part.call.state << 5;
  const at = <usize>block * bytes;
  memory.copy(part.saved, part.blockH + at, bytes);
  decay(part, block, first, count);
  if (allFinite(part.blockH + at, bytes)) return true;
  memory.copy(part.blockH + at, part.saved, bytes);
  memory.fill(part.blockRest + at, 0, bytes);
  memory.fill(part.results + steps, 0, <usize>count << 5);
  return false;
}
