/**
 * What the products of an attention block become before its scores, in one pass: q and k with their norms and rotary
 * positions, and new rows of the caches of k and v. q stays where it is. A task is some tokens.
 *
 * Scratch of a thread: as that of `rope`.
 */
import { copy } from '../../lib/lanes';
import { Flag } from '../../program/call';
import { rmsNorm } from '../rms-norm';
import { angles, sinesOf, turnHeads } from '../rope';

@unmanaged
export class AttentionPlaceCall {
  /** `[batch, length, heads, headDim]`, also where it goes. */
  q: usize;
  /** `[batch, length, kvHeads, headDim]` */
  k: usize;
  v: usize;
  /** `[batch, capacity, kvHeads, headDim]` */
  kCache: usize;
  vCache: usize;
  capacity: i32;
  /** int32 `[2, batch]`: the row of the cache for the first token of each row of the batch, and its position. */
  places: usize;
  /** Weights of the norms; 0 means that there is none. */
  qNorm: usize;
  kNorm: usize;
  eps: f32;
  /** The fields of `RopeCall`; 0 pairs means that there are no rotary positions. */
  turns: usize;
  pairs: i32;
  interleaved: Flag;
  batch: i32;
  length: i32;
  heads: i32;
  kvHeads: i32;
  headDim: i32;
  taskTokens: i32;
  scratch: usize;
  scratchStride: usize;
}

export function attentionPlace(call: AttentionPlaceCall, task: i32, thread: i32): void {
  const cosines = call.scratch + <usize>thread * call.scratchStride;
  const sines = sinesOf(cosines, call.pairs);
  const queryBytes = (<usize>call.heads * <usize>call.headDim) << 2;
  const keyBytes = (<usize>call.kvHeads * <usize>call.headDim) << 2;
  const end = min((task + 1) * call.taskTokens, call.batch * call.length);
  for (let token = task * call.taskTokens; token < end; token++) {
    const b = token / call.length;
    const step = token - b * call.length;
    const row = load<i32>(call.places + (<usize>b << 2)) + step;
    const position = load<i32>(call.places + (<usize>(call.batch + b) << 2)) + step;
    const q = call.q + <usize>token * queryBytes;
    const k = call.k + <usize>token * keyBytes;
    const cached = (<usize>b * <usize>call.capacity + <usize>row) * keyBytes;
    if (call.qNorm != 0) rmsNorm(q, call.qNorm, q, call.heads, call.headDim, call.eps);
    if (call.kNorm != 0) rmsNorm(k, call.kNorm, k, call.kvHeads, call.headDim, call.eps);
    if (call.pairs == 0) {
      copy(call.kCache + cached, k, keyBytes);
    } else {
      angles(call.turns, call.pairs, 1, position, cosines, sines);
      turnHeads(q, q, call.heads, call.headDim, call.pairs, call.interleaved, cosines, sines);
      turnHeads(k, call.kCache + cached, call.kvHeads, call.headDim, call.pairs, call.interleaved, cosines, sines);
    }
    copy(call.vCache + cached, call.v + <usize>token * keyBytes, keyBytes);
  }
}
