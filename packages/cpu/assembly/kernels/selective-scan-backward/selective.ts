/** B and C of a chunk on their way to pairs of states, and their gradients on the way back. */
import { sums } from '../../lib/lanes';
import { BackwardPart, GRADIENTS, SCAN_CHUNK, SELECTIVE } from './call';

/**
 * Copies B and C of a chunk and lets their gradients start from zero. Returns whether all C are finite: an infinite
 * one makes g infinite, which euler.ts cannot take.
 */
export function loadSelective(part: BackwardPart, start: i32, count: i32): bool {
  const call = part.call;
  const state = call.state;
  const pairs = (state + 1) >> 1;
  memory.fill(part.gradients, 0, <usize>(pairs * SCAN_CHUNK) * GRADIENTS);
  memory.fill(part.selective, 0, <usize>(pairs * SCAN_CHUNK) * SELECTIVE);
  if (!call.constantB) spread(part.B + <usize>start * call.stepStride, call.stepStride, state, count, part.selective);
  if (call.constantC) return false;
  return spread(part.C + <usize>start * call.stepStride, call.stepStride, state, count, part.selective + 8);
}

/** Rows of `state` values to pairs; returns whether all are finite. */
function spread(from: usize, stride: usize, state: i32, count: i32, to: usize): bool {
  let none: f32 = 0;
  for (let t = 0; t < count; t++) {
    for (let n = 0; n < state; n++) {
      const value = load<f32>(from + (<usize>n << 2));
      none += value - value;
      store<f32>(to + <usize>((n >> 1) * SCAN_CHUNK) * SELECTIVE + (<usize>(n & 1) << 2), value);
    }
    from += stride;
    to += SELECTIVE;
  }
  return none == none;
}

/** Adds the gradients of B and C over the lanes, and writes them to the range's partial sums. */
export function storeSelective(part: BackwardPart, start: i32, count: i32): void {
  const call = part.backward;
  const stepStride = call.stepStride;
  const partial = <usize>part.range * <usize>call.batch * <usize>call.length * stepStride;
  const place = part.selectiveOffset + <usize>start * stepStride;
  const dB = call.constantB ? <usize>0 : call.dB + partial + place;
  const dC = call.constantC ? <usize>0 : call.dC + partial + place;
  for (let n = 0; n < call.state; n += 2) {
    const column = <usize>n << 2;
    const both = n + 1 < call.state;
    let from = part.gradients + <usize>((n >> 1) * SCAN_CHUNK) * GRADIENTS;
    for (let t = 0; t < count; t++) {
      const total = sums(
        f32x4.add(v128.load(from), v128.load(from, 16)),
        f32x4.add(v128.load(from, 32), v128.load(from, 48)),
        f32x4.add(v128.load(from, 64), v128.load(from, 80)),
        f32x4.add(v128.load(from, 96), v128.load(from, 112)),
      );
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
