/**
 * The backward of the selective scan: reverse mode through scan.ts. With g_t the gradient of h_t, and ds_t = dy_t
 * silu(z_t):
 *
 *     g_t = ds_t C_t + Abar_(t+1) g_(t+1)
 *
 * A task is a range of channels of one group and one batch row. Channels are the vector, as in the scan, and every
 * eight of them are computed alike in whatever task they are; sums over channels have an order that depends on the
 * shape alone. So any number of threads gives the same bits.
 *
 * Where the forward scan did not keep them, the task first runs the scan without its outputs and keeps the states
 * before each chunk of SCAN_CHUNK steps, and the step sizes in what becomes ddelta. Then it takes the chunks from the
 * last to the first:
 *   1. prepare: what each step needs goes to records of eight channels;
 *   2. for each block of eight channels and each pair of states, forward over the chunk, keeping each step's decay and
 *      decayed state in the first-level cache, then backward, with g and the sum for dA in vectors;
 *   3. dB and dC of the chunk, summed over the blocks of SUMMED_CHANNELS and then over lanes;
 *   4. finish: rows of the gradients of u, delta and z from the records.
 *
 * Memory is the states before chunks, state / SCAN_CHUNK floats for a step of a channel, which the forward scan kept or
 * which are in the scratch of the threads, and dB and dC once for every SUMMED_CHANNELS channels. u, delta, z, dy and
 * the gradients pass through memory once, but u and the step sizes twice where the states are not kept.
 *
 * euler.ts takes what models have, Euler's steps that decay, and general.ts all else, as the scan does.
 */
import { storePart } from '../../lib/lanes';
import { fromBlocks, toBlocks } from '../selective-scan/blocks';
import { isReset, keptOffset, nextReset } from '../selective-scan/call';
import { advanceBlock, loadBlocks, resetStates, startTile } from '../selective-scan/tile';
import {
  BackwardPart, Field, locateBackward, RECORD, SCAN_CHUNK, ScanBackwardCall, SUMMED_CHANNELS,
} from './call';
import { euler } from './euler';
import { general } from './general';
import { finish, prepare, stepsAgain } from './prepare';
import { clearGradients, loadSelective, storeSelective } from './selective';

const SUMMED_BLOCKS = SUMMED_CHANNELS >> 3;

/** Runs a task of the call. */
export function scanBackward(call: ScanBackwardCall, task: i32, thread: i32): void {
  const part = changetype<BackwardPart>(call.scratch + <usize>thread * call.scratchStride);
  locateBackward(part, call, task);
  const decaying = loadBlocks(part, call.initialState == 0 ? <usize>0 : call.initialState + part.stateOffset);
  if (call.states == 0) keepStates(part, decaying);
  clear(part);
  for (let chunk = part.chunks - 1; chunk >= 0; chunk--) {
    const start = chunk * SCAN_CHUNK;
    const count = min(SCAN_CHUNK, call.length - start);
    loadStates(part, chunk);
    if (call.states != 0) stepsAgain(part, start, count);
    loadSelective(part, start, count);
    prepare(part, start, count);
    for (let block = 0; block < part.blocks; block++) {
      if (block % SUMMED_BLOCKS == 0) clearGradients(part);
      if (decaying && isUsual(part, block, count)) euler(part, chunk, block, count);
      else general(part, chunk, block, count);
      if (block + 1 == part.blocks || (block + 1) % SUMMED_BLOCKS == 0) storeSelective(part, block, start, count);
    }
    finish(part, start, count);
  }
  storeShared(part);
}

/** Runs the scan up to the last chunk, and keeps the states before each chunk, and the step sizes in ddelta. */
function keepStates(part: BackwardPart, decaying: bool): void {
  const length = part.call.length;
  const bytes = (<usize>part.blocks * <usize>part.call.state) << 5;
  for (let chunk = 0; chunk < part.chunks; chunk++) {
    const start = chunk * SCAN_CHUNK;
    const end = min(start + SCAN_CHUNK, length);
    memory.copy(part.starts + <usize>chunk * bytes, part.blockH, bytes);
    startTile(part, start, end - start);
    keepSteps(part, start, end - start);
    for (let first = start; first < end && end < length; ) {
      const next = nextReset(part, first, end);
      if (isReset(part, first)) resetStates(part);
      for (let block = 0; block < part.blocks; block++) {
        advanceBlock(part, block, first, next - first, decaying, false);
      }
      first = next;
    }
  }
}

/** Finds the states before a chunk. */
function loadStates(part: BackwardPart, chunk: i32): void {
  const call = part.backward;
  const bytes = (<usize>part.blocks * <usize>call.state) << 5;
  if (call.states == 0) part.start = part.starts + <usize>chunk * bytes;
  else toBlocks(call.states + keptOffset(part, chunk), part.channels, call.state, part.start);
}

/** Copies the step sizes of a tile to rows. */
function keepSteps(part: BackwardPart, start: i32, count: i32): void {
  const call = part.backward;
  const block = <usize>call.tileSteps << 5;
  let row = call.ddelta + part.activationOffset + <usize>start * call.rowStride;
  for (let t = 0; t < count; t++) {
    let from = part.stepSizes + (<usize>t << 5);
    for (let c = 0; c < part.channels; c += 8) {
      const rest = part.channels - c;
      const to = row + (<usize>c << 2);
      storePart(to, v128.load(from), rest);
      if (rest > 4) storePart(to + 16, v128.load(from, 16), rest - 4);
      from += block;
    }
    row += call.rowStride;
  }
}

/** Brings the gradient of the last state into blocks, and lets all sums start from zero. */
function clear(part: BackwardPart): void {
  const call = part.backward;
  const records = <usize>(part.blocks * SCAN_CHUNK) * RECORD;
  const parameter = (<usize>part.blocks * <usize>call.state) << 5;
  memory.fill(part.blockG, 0, part.records - part.blockG + records);
  if (call.dLastState == 0) return;
  memory.fill(part.blockG, 0, parameter);
  toBlocks(call.dLastState + part.stateOffset, part.channels, call.state, part.blockG);
}

/** Where bounds of states and gradients end; a step of any of them overflows far above. */
const BOUND: f32 = 1e37;

/**
 * Whether euler.ts can take a chunk of a block: no step grows, and neither a state nor its gradient can overflow, since
 * their bounds are far below. Finds the largest step sizes.
 */
function isUsual(part: BackwardPart, block: i32, count: i32): bool {
  const bytes = <usize>part.call.state << 5;
  const at = <usize>block * bytes;
  let largest0 = f32x4.splat(0);
  let largest1 = largest0;
  let least = largest0;
  let inputs = largest0;
  let cotangents = largest0;
  let record = part.records + <usize>(block * SCAN_CHUNK) * RECORD;
  for (const end = record + <usize>count * RECORD; record < end; record += RECORD) {
    const low = v128.load(record, Field.STEP_SIZE);
    const high = v128.load(record, Field.STEP_SIZE + 16);
    largest0 = f32x4.pmax(largest0, low);
    largest1 = f32x4.pmax(largest1, high);
    least = f32x4.min(least, f32x4.min(low, high));
    inputs = larger(inputs, record + Field.INPUT);
    cotangents = larger(cotangents, record + Field.DS);
  }
  v128.store(part.largest, largest0);
  v128.store(part.largest, largest1, 16);
  if (v128.any_true(f32x4.lt(least, f32x4.splat(0)))) return false;
  const steps = <f32>count;
  const h = largestOf(part.start + at, bytes) + steps * largestLane(inputs) * part.largestB;
  const g = largestOf(part.blockG + at, bytes) + steps * largestLane(cotangents) * part.largestC;
  return h < BOUND && g < BOUND;
}

/** The larger magnitudes of most and of two neighbouring vectors; NaN stays. @inline */
function larger(most: v128, pair: usize): v128 {
  return f32x4.max(most, f32x4.max(f32x4.abs(v128.load(pair)), f32x4.abs(v128.load(pair, 16))));
}

/** The largest magnitude; NaN where a value is NaN. */
function largestOf(values: usize, bytes: usize): f32 {
  let most = f32x4.splat(0);
  for (const end = values + bytes; values < end; values += 32) most = larger(most, values);
  return largestLane(most);
}

function largestLane(v: v128): f32 {
  const pairs = f32x4.max(v, v128.shuffle<f32>(v, v, 2, 3, 0, 1));
  return max<f32>(f32x4.extract_lane(pairs, 0), f32x4.extract_lane(pairs, 1));
}

/** Writes the gradients of the initial state and of all that does not vary with time. */
function storeShared(part: BackwardPart): void {
  const call = part.backward;
  const channels = part.channels;
  const state = call.state;
  const row = <usize>part.row * ((<usize>call.dim) << 2);
  const vector = row + part.channelOffset;
  const parameters = row * <usize>state + part.parameterOffset;
  if (call.dInitialState != 0) fromBlocks(part.blockG, channels, state, call.dInitialState + part.stateOffset);
  fromBlocks(part.blockDA, channels, state, call.dA + parameters);
  if (call.constantB) fromBlocks(part.blockDB, channels, state, call.dB + parameters);
  if (call.constantC) fromBlocks(part.blockDC, channels, state, call.dC + parameters);
  const bytes = <usize>channels << 2;
  if (call.dD != 0) memory.copy(call.dD + vector, part.blockDD, bytes);
  if (call.dDeltaBias != 0) memory.copy(call.dDeltaBias + vector, part.blockDBias, bytes);
}
