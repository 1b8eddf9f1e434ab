/**
 * The backward of the selective scan: reverse mode through scan.ts. With g_t the gradient of h_t, and ds_t = dy_t
 * silu(z_t):
 *
 *     g_t = ds_t C_t + Abar_(t+1) g_(t+1)
 *
 * A task is a range of channels of one group and one batch row; ranges depend on the shape alone, so any number of
 * threads gives the same bits. Channels are the vector, as in the scan.
 *
 * The task first runs the scan without its outputs and keeps the states before each chunk of SCAN_CHUNK steps. Then it
 * takes the chunks from the last to the first:
 *   1. prepare: what each step needs goes to records of eight channels;
 *   2. for each block of eight channels and each pair of states, forward over the chunk, keeping each step's decay and
 *      decayed state in the first-level cache, then backward, with g and the sum for dA in vectors;
 *   3. finish: rows of the gradients of u, delta and z from the records;
 *   4. dB and dC of the chunk, summed over blocks and then over lanes.
 *
 * Memory is the states before chunks, state / SCAN_CHUNK floats for a step of a channel, in the scratch of the threads,
 * and dB and dC once for each range of channels. u, delta, z, dy and the gradients pass through memory once, but u and
 * delta twice.
 *
 * euler.ts takes what models have, Euler's steps that decay, and general.ts all else, as the scan does.
 */
import { allFinite, fromBlocks, toBlocks } from '../selective-scan/blocks';
import { isReset, nextReset } from '../selective-scan/call';
import { advanceBlock, loadBlocks, resetStates, startTile } from '../selective-scan/tile';
import { BackwardPart, Field, locateBackward, RECORD, SCAN_CHUNK, ScanBackwardCall } from './call';
import { euler } from './euler';
import { general } from './general';
import { finish, prepare } from './prepare';
import { loadSelective, storeSelective } from './selective';

/** Runs a task of the call. */
export function scanBackward(call: ScanBackwardCall, task: i32, thread: i32): void {
  const part = changetype<BackwardPart>(call.scratch + <usize>thread * call.scratchStride);
  locateBackward(part, call, task);
  const decaying = loadBlocks(part, call.initialState == 0 ? <usize>0 : call.initialState + part.stateOffset);
  keepStates(part, decaying);
  clear(part);
  for (let chunk = part.chunks - 1; chunk >= 0; chunk--) {
    const start = chunk * SCAN_CHUNK;
    const count = min(SCAN_CHUNK, call.length - start);
    const finite = loadSelective(part, start, count);
    prepare(part, start, count);
    for (let block = 0; block < part.blocks; block++) {
      if (decaying && finite && isUsual(part, chunk, block, count)) euler(part, chunk, block, count);
      else general(part, chunk, block, count);
    }
    finish(part, start, count);
    storeSelective(part, start, count);
  }
  storeShared(part);
}

/** Runs the scan and keeps the states before each chunk. */
function keepStates(part: BackwardPart, decaying: bool): void {
  const length = part.call.length;
  const bytes = (<usize>part.blocks * <usize>part.call.state) << 5;
  memory.fill(part.careful, 0, part.chunks * part.blocks);
  for (let chunk = 0; chunk < part.chunks; chunk++) {
    const start = chunk * SCAN_CHUNK;
    const end = min(start + SCAN_CHUNK, length);
    memory.copy(part.starts + <usize>chunk * bytes, part.blockH, bytes);
    startTile(part, start, end - start);
    for (let first = start; first < end; ) {
      const next = nextReset(part, first, end);
      if (isReset(part, first)) resetStates(part);
      for (let block = 0; block < part.blocks; block++) {
        if (!advanceBlock(part, block, first, next - first, decaying)) {
          store<u8>(part.careful + <usize>(chunk * part.blocks + block), 1);
        }
      }
      first = next;
    }
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

/**
 * Whether euler.ts can take a chunk of a block: no state overflowed, and the gradients that enter it are finite. Finds
 * the largest step sizes.
 */
function isUsual(part: BackwardPart, chunk: i32, block: i32, count: i32): bool {
  if (load<u8>(part.careful + <usize>(chunk * part.blocks + block)) != 0) return false;
  const bytes = <usize>part.call.state << 5;
  if (!allFinite(part.blockG + <usize>block * bytes, bytes)) return false;
  let largest0 = f32x4.splat(0);
  let largest1 = largest0;
  let none = largest0;
  let record = part.records + <usize>(block * SCAN_CHUNK) * RECORD;
  for (const end = record + <usize>count * RECORD; record < end; record += RECORD) {
    largest0 = f32x4.pmax(largest0, v128.load(record, Field.STEP_SIZE));
    largest1 = f32x4.pmax(largest1, v128.load(record, Field.STEP_SIZE + 16));
    const low = v128.load(record, Field.DS);
    const high = v128.load(record, Field.DS + 16);
    none = f32x4.add(none, f32x4.add(f32x4.sub(low, low), f32x4.sub(high, high)));
  }
  v128.store(part.largest, largest0);
  v128.store(part.largest, largest1, 16);
  return i32x4.all_true(f32x4.eq(none, none));
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
