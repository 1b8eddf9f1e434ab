/**
 * Mamba-2's scan as its recurrence, for calls of few steps. States are the vector; four channels share each load of B
 * and C. Each step reads and writes the state once.
 */
import { silu } from '../../lib/activations';
import { loadPart, storePart, sums } from '../../lib/lanes';
import { madd } from '../../lib/madd';
import { SsdPart, SsdScanCall } from './call';
import { skip, stateOffset } from './scan';
import { takeSteps } from './steps';

export function recur(part: SsdPart, call: SsdScanCall): void {
  const bytes = (<usize>call.headDim * <usize>call.state) << 2;
  for (let head = part.head; head < part.head + part.heads; head++) {
    const offset = stateOffset(part, head);
    const S = call.lastState + offset;
    if (call.initialState == 0) memory.fill(S, 0, bytes);
    else if (call.initialState != call.lastState) memory.copy(S, call.initialState + offset, bytes);
    for (let t = 0; t < call.length; t++) {
      takeSteps(part, head, t, 1);
      if (part.resets != 0 && load<i32>(part.resets + (<usize>t << 2)) != 0) memory.fill(S, 0, bytes);
      stepHead(part, call, head, t, S);
    }
  }
}

function stepHead(part: SsdPart, call: SsdScanCall, head: i32, t: i32, S: usize): void {
  const headDim = call.headDim;
  const state = call.state;
  const row = <usize>state << 2;
  const B = part.B + <usize>t * call.stepStride;
  const C = part.C + <usize>t * call.stepStride;
  const place = (<usize>head * <usize>headDim) << 2;
  const steps = <usize>part.row * <usize>call.length + <usize>t;
  const x = part.x + <usize>t * call.xStride + place;
  const z = part.z == 0 ? <usize>0 : part.z + <usize>t * call.zStride + place;
  const y = call.y + steps * call.yStride + place;
  const decay = v128.load32_splat(part.kept);
  const d = v128.load32_splat(part.stepSizes);
  for (let p = 0; p < headDim; p += 4) {
    const count = min(4, headDim - p);
    const at = <usize>p << 2;
    const value = loadPart(x + at, count);
    const u = f32x4.mul(value, d);
    let result = count == 4 && !(state & 3)
      ? fourChannels(S, row, u, decay, B, C)
      : someChannels(S, state, u, count, decay, B, C);
    if (call.D != 0) result = madd(skip(call, head, p, count), value, result);
    if (z != 0) result = f32x4.mul(result, silu(loadPart(z + at, count)));
    storePart(y + at, result, count);
    S += 4 * row;
  }
}

function fourChannels(S: usize, row: usize, u: v128, decay: v128, B: usize, C: usize): v128 {
  const u0 = v128.shuffle<f32>(u, u, 0, 0, 0, 0);
  const u1 = v128.shuffle<f32>(u, u, 1, 1, 1, 1);
  const u2 = v128.shuffle<f32>(u, u, 2, 2, 2, 2);
  const u3 = v128.shuffle<f32>(u, u, 3, 3, 3, 3);
  let y0 = f32x4.splat(0);
  let y1 = y0;
  let y2 = y0;
  let y3 = y0;
  const S1 = S + row;
  const S2 = S1 + row;
  const S3 = S2 + row;
  for (let n: usize = 0; n < row; n += 16) {
    const b = v128.load(B + n);
    const c = v128.load(C + n);
    const h0 = madd(u0, b, f32x4.mul(decay, v128.load(S + n)));
    const h1 = madd(u1, b, f32x4.mul(decay, v128.load(S1 + n)));
    const h2 = madd(u2, b, f32x4.mul(decay, v128.load(S2 + n)));
    const h3 = madd(u3, b, f32x4.mul(decay, v128.load(S3 + n)));
    v128.store(S + n, h0);
    v128.store(S1 + n, h1);
    v128.store(S2 + n, h2);
    v128.store(S3 + n, h3);
    y0 = madd(h0, c, y0);
    y1 = madd(h1, c, y1);
    y2 = madd(h2, c, y2);
    y3 = madd(h3, c, y3);
  }
  return sums(y0, y1, y2, y3);
}

/** Up to four channels of any number of states. */
function someChannels(S: usize, state: i32, u: v128, count: i32, decay: v128, B: usize, C: usize): v128 {
  let result = f32x4.splat(0);
  for (let lane = 0; lane < count; lane++) {
    const input = v128.shuffle<f32>(u, u, 0, 0, 0, 0);
    u = v128.shuffle<f32>(u, u, 1, 2, 3, 0);
    let y = f32x4.splat(0);
    for (let n = 0; n < state; n += 4) {
      const rest = state - n;
      const at = <usize>n << 2;
      const h = madd(input, loadPart(B + at, rest), f32x4.mul(decay, loadPart(S + at, rest)));
      storePart(S + at, h, rest);
      y = madd(h, loadPart(C + at, rest), y);
    }
    const total = sums(y, y, y, y);
    result = v128.shuffle<f32>(v128.shuffle<f32>(result, total, 1, 2, 3, 4), result, 0, 1, 2, 3);
    S += <usize>state << 2;
  }
  // The results were handed in from the right, so fewer than four stand at its end.
  for (let lane = count; lane < 4; lane++) result = v128.shuffle<f32>(result, result, 1, 2, 3, 0);
  return result;
}
