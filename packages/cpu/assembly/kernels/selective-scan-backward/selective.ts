/** B and C of a chunk on their way to pairs of states, and their gradients on the way back. */
import { sums } from '../../lib/lanes';
import { BackwardPart, GRADIENTS, SCAN_CHUNK, SELECTIVE, SUMMED_CHANNELS } from './call';

/** Lets the gradients of B and C start from zero. */
export function clearGradients(part: BackwardPart): void {
  memory.fill(part.gradients, 0, <usize>(((part.call.state + 1) >> 1) * SCAN_CHUNK) * GRADIENTS);
}

/** Copies B and C of a chunk, and finds their largest magnitudes. */
export function loadSelective(part: BackwardPart, start: i32, count: i32): void {
  const call = part.call;
  const state = call.state;
  const steps = <usize>(((state + 1) >> 1) * SCAN_CHUNK);
  const row = <usize>start * call.stepStride;
  if (state & 1 || call.constantB || call.constantC) memory.fill(part.selective, 0, steps * SELECTIVE);
  part.largestB = call.constantB ? 0 : spread(part.B + row, call.stepStride, state, count, part.selective);
  part.largestC = call.constantC ? 0 : spread(part.C + row, call.stepStride, state, count, part.selective + 8);
}

/** Rows of `state` values to pairs; returns the largest magnitude, NaN where a value is NaN. */
function spread(from: usize, stride: usize, state: i32, count: i32, to: usize): f32 {
  let most: f32 = 0;
  for (let n = 0; n + 2 <= state; n += 2) {
    let value = from + (<usize>n << 2);
    for (let t = 0; t < count; t++) {
      const pair = v128.load64_zero(value);
      most = max<f32>(most, max<f32>(abs(f32x4.extract_lane(pair, 0)), abs(f32x4.extract_lane(pair, 1))));
      v128.store64_lane(to, pair, 0);
      value += stride;
      to += SELECTIVE;
    }
    to += <usize>(SCAN_CHUNK - count) * SELECTIVE;
  }
  if (state & 1) {
    let value = from + (<usize>(state - 1) << 2);
    for (let t = 0; t < count; t++) {
      most = max<f32>(most, abs(load<f32>(value)));
      store<f32>(to, load<f32>(value));
      value += stride;
      to += SELECTIVE;
    }
  }
  return most;
}

/** Adds the gradients of B and C over the lanes, and writes them as a partial sum of the channels up to `block`. */
export function storeSelective(part: BackwardPart, block: i32, start: i32, count: i32): void {
  const call = part.backward;
  const stepStride = call.stepStride;
  const range = (part.range * call.taskChannels + (block << 3)) / SUMMED_CHANNELS;
  const partial = <usize>range * <usize>call.batch * <usize>call.length * stepStride;
  const place = part.selectiveOffset + <usize>start * stepStride;
  const dB = call.constantB ? <usize>0 : call.dB + partial + place;
  const dC = call.constantC ? <usize>0 : call.dC + partial + place;
  for (let n = 0; n < call.state; n += 2) {
    const column = <usize>n << 2;
    const both = n + 1 < call.state;
    let from = part.gradients + <usize>((n >> 1) * SCAN_CHUNK) * GRADIENTS;
    for (let t = 0; t < count; t++) {
      const total = sums(v128.load(from), v128.load(from, 16), v128.load(from, 32), v128.load(from, 48));
      const row = <usize>t * stepStride + column;
      if (dB != 0) {
        v128.store32_lane(dB + row, total, 0);
        if (both) v128.store32_lane(dB + row, total, 1, 4);
      }
      if (dC != 0) {
        v128.store32_lane(dC + row, total, 2);
        if (both) v128.store32_lane(dC + row, total, 3, 4);
      }
      from += GRADIENTS;
    }
  }
}
