/**
 * Pass 2 of the selective scan for a single step (decode), where transposing A and the state would cost more than the
 * step. States are the vector; A and the state are read, and the state is written, once.
 *
 * Four channels go the fast way, and a copy of their states is kept meanwhile. Where y is not finite or a state grows,
 * all four are computed again the careful way. A state that is not finite makes y not finite, since infinity times any
 * C is infinite or NaN.
 */
import { Constant, constant } from '../../lib/constants';
import { loadPart, storePart, sum, sums } from '../../lib/lanes';
import { madd } from '../../lib/madd';
import { advance, boundedPower, power, powerOfTwo, ratioOf } from '../../lib/power';
import { ScanPart } from './call';

/** Pass 2 of a call of one step, from `stepSizes` and `inputs` to `results`; h is the state `[channels, state]`. */
export function step(part: ScanPart, h: usize): void {
  const state = part.call.state;
  const channels = part.channels;
  const B = part.B;
  const C = part.C;
  const kept = part.saved;
  const row = <usize>state << 2;
  const partial = kept + (row << 2);
  let A = part.A;
  let stepSizes = part.stepSizes;
  let inputs = part.inputs;
  let results = part.results;
  for (let channel = 0; channel < channels; channel += 4) {
    const count = min(4, channels - channel);
    if (state & 3 || !fastStep(A, h, stepSizes, inputs, results, B, C, count, row, kept, partial)) {
      for (let lane: usize = 0; lane < <usize>count; lane++) {
        const place = lane << 2;
        const d = v128.load32_splat(stepSizes + place);
        const v = v128.load32_splat(inputs + place);
        store<f32>(results + place, carefulStep(A + lane * row, h + lane * row, d, v, B, C, state));
      }
    }
    A += row << 2;
    h += row << 2;
    stepSizes += 16;
    inputs += 16;
    results += 16;
  }
}

/**
 * A step of up to four channels whose states are a multiple of four. Returns false where the careful way must be taken;
 * h is unchanged then. Two neighbouring vectors are alike to the last instruction, and their sums are stored side by
 * side in `partial`, as V8's revectorisation wants.
 */
function fastStep(
  A: usize, h: usize, stepSizes: usize, inputs: usize, results: usize, B: usize, C: usize, channels: i32, row: usize,
  kept: usize, partial: usize,
): bool {
  const log2e = constant(Constant.LOG2_E);
  const lowest = constant(Constant.POWER_MIN);
  const round = constant(Constant.ROUND_BIASED);
  const p1 = constant(Constant.P1);
  const p2 = constant(Constant.P2);
  const p3 = constant(Constant.P3);
  const p4 = constant(Constant.P4);
  const p5 = constant(Constant.P5);
  let most = f32x4.splat(0);
  for (let lane: usize = 0; lane < 4; lane++) {
    let y0 = f32x4.splat(0);
    let y1 = y0;
    if (lane < <usize>channels) {
      const d = v128.load32_splat(stepSizes + (lane << 2));
      const v = v128.load32_splat(inputs + (lane << 2));
      const first = lane * row;
      let o: usize = 0;
      for (; o + 32 <= row; o += 32) {
        const at = first + o;
        const x0 = f32x4.mul(d, f32x4.mul(v128.load(A + at), log2e));
        const x1 = f32x4.mul(d, f32x4.mul(v128.load(A + at, 16), log2e));
        most = f32x4.pmax(most, f32x4.pmax(x0, x1));
        const low0 = f32x4.pmax(x0, lowest);
        const low1 = f32x4.pmax(x1, lowest);
        const t0 = f32x4.add(low0, round);
        const t1 = f32x4.add(low1, round);
        const q0 = power(f32x4.sub(low0, f32x4.sub(t0, round)), p1, p2, p3, p4, p5);
        const q1 = power(f32x4.sub(low1, f32x4.sub(t1, round)), p1, p2, p3, p4, p5);
        const before0 = v128.load(h + at);
        const before1 = v128.load(h + at, 16);
        const h0 = advance(f32x4.mul(before0, i32x4.shl(t0, 23)), q0, f32x4.mul(v, v128.load(B + o)));
        const h1 = advance(f32x4.mul(before1, i32x4.shl(t1, 23)), q1, f32x4.mul(v, v128.load(B + o, 16)));
        y0 = madd(h0, v128.load(C + o), y0);
        y1 = madd(h1, v128.load(C + o, 16), y1);
        v128.store(kept + at, before0);
        v128.store(kept + at, before1, 16);
        v128.store(h + at, h0);
        v128.store(h + at, h1, 16);
      }
      if (o < row) {
        const at = first + o;
        const x = f32x4.mul(d, f32x4.mul(v128.load(A + at), log2e));
        most = f32x4.pmax(most, x);
        const low = f32x4.pmax(x, lowest);
        const t = f32x4.add(low, round);
        const q = power(f32x4.sub(low, f32x4.sub(t, round)), p1, p2, p3, p4, p5);
        const before = v128.load(h + at);
        const h0 = advance(f32x4.mul(before, i32x4.shl(t, 23)), q, f32x4.mul(v, v128.load(B + o)));
        y0 = madd(h0, v128.load(C + o), y0);
        v128.store(kept + at, before);
        v128.store(h + at, h0);
      }
    }
    v128.store(partial + (lane << 5), y0);
    v128.store(partial + (lane << 5), y1, 16);
  }
  const y = sums(total(partial), total(partial + 32), total(partial + 64), total(partial + 96));
  const odd = v128.or(f32x4.gt(most, f32x4.splat(0)), f32x4.ne(f32x4.sub(y, y), f32x4.splat(0)));
  if (v128.any_true(odd)) {
    memory.copy(h, kept, <usize>channels * row);
    return false;
  }
  storePart(results, y, channels);
  return true;
}

/** @inline */
function total(pair: usize): v128 {
  return f32x4.add(v128.load(pair), v128.load(pair, 16));
}

/** A step of one channel with decays of any sign and size and any number of states. Returns y. */
function carefulStep(A: usize, h: usize, d: v128, v: v128, B: usize, C: usize, state: i32): f32 {
  const log2e = constant(Constant.LOG2_E);
  const round = constant(Constant.ROUND);
  let y = f32x4.splat(0);
  for (let n = 0; n < state; n += 4) {
    const rest = state - n;
    const o = <usize>n << 2;
    const before = loadPart(h + o, rest);
    const bounded = boundedPower(f32x4.mul(d, f32x4.mul(loadPart(A + o, rest), log2e)));
    const shifted = f32x4.add(bounded, round);
    const r = f32x4.sub(bounded, f32x4.sub(shifted, round));
    const power = f32x4.mul(ratioOf(r), r);
    const exponent = i32x4.sub(shifted, round);
    const added = f32x4.mul(v, loadPart(B + o, rest));
    const near = v128.and(i32x4.eq(exponent, i32x4.splat(0)), f32x4.lt(f32x4.abs(before), f32x4.splat(Infinity)));
    const next = v128.bitselect(
      f32x4.add(before, f32x4.add(f32x4.mul(power, before), added)),
      f32x4.add(f32x4.mul(powerOfTwo(power, exponent), before), added),
      near,
    );
    storePart(h + o, next, rest);
    y = f32x4.add(y, f32x4.mul(loadPart(C + o, rest), rest >= 4 ? next : loadPart(h + o, rest)));
  }
  return sum(y);
}
