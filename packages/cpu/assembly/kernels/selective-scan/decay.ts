/**
 * Pass 2 of the selective scan for a block of eight channels whose steps are Euler's and decay: two states at a time, then the odd one.
 *
 * The roundings of equal steps all go one way, and add up for as long as a state remembers. So where a channel keeps half of a state or more
 * over the tile it is `near`: its state is H + e, with H from the start of the tile and e what has come since, so that a step rounds e alone.
 * H + e is handed on with its rounding error (`rest`). Elsewhere H is 0 and e is the state: a step rounds 6e-8 of it, and it remembers some 60
 * steps. A tile takes each pair of states in one of three ways:
 *
 * - `small`, where no step takes more than 2^-1/2: e' = e + (h (2^x - 1) + d u B); 2^x has no whole part, so there are fewer operations;
 * - `mixed`, where some do, and some channel keeps 2^-1/4 in 40 steps: e' = 2^x e + ((2^x - 1) H + d u B);
 * - `forget`, where some do, and none keeps so much: h' = s h + (s h (2^r - 1) + d u B), as in scan.ts; its states remember 230 steps at most.
 */
import { Constant, constant } from '../../lib/constants';
import { madd } from '../../lib/madd';
import { advance, lost, power } from '../../lib/power';
import { ScanPart, stepOffset } from './call';

/** `count` steps of a block from step `first` on; they are in one tile, and only the first may have a reset. */
export function decay(part: ScanPart, block: i32, first: i32, count: i32): void {
  const state = part.call.state;
  const stepStride = part.call.stepStride;
  const at = (<usize>block * <usize>state) << 5;
  const offset = stepOffset(part, block, first);
  const row = <usize>first * stepStride;
  const stepSizes = part.stepSizes + offset;
  const inputs = part.inputs + offset;
  const results = part.results + offset;
  const end = results + (<usize>count << 5);
  let A = part.blockA + at;
  let h = part.blockH + at;
  let rest = part.blockRest + at;
  let B = part.B + row;
  let C = part.C + row;
  let sum0 = f32x4.splat(0);
  let sum1 = sum0;
  let most0 = sum0;
  let most1 = sum0;
  for (let d = stepSizes, last = stepSizes + (<usize>count << 5); d < last; d += 32) {
    const d0 = v128.load(d);
    const d1 = v128.load(d, 16);
    sum0 = f32x4.add(sum0, d0);
    sum1 = f32x4.add(sum1, d1);
    most0 = f32x4.pmax(most0, d0);
    most1 = f32x4.pmax(most1, d1);
  }
  const least = f32x4.splat(-0.25 / 40.0 * <f32>count);
  let n = 0;
  for (; n + 2 <= state; n += 2) {
    const alike = isSmall(A, most0, most1) && isSmall(A + 32, most0, most1);
    if (alike || keepsAny(A, sum0, sum1, least) || keepsAny(A + 32, sum0, sum1, least)) {
      split(A, h, rest, sum0, sum1, most0, most1);
      split(A + 32, h + 32, rest + 32, sum0, sum1, most0, most1);
      if (alike) small(A, h, rest, stepSizes, inputs, results, B, C, stepStride, end);
      else mixed(A, h, rest, stepSizes, inputs, results, B, C, stepStride, end);
    } else {
      forget(A, h, stepSizes, inputs, results, B, C, stepStride, end);
      memory.fill(rest, 0, 64);
    }
    A += 64;
    h += 64;
    rest += 64;
    B += 8;
    C += 8;
  }
  if (n == state) return;
  split(A, h, rest, sum0, sum1, most0, most1);
  mixedOne(A, h, rest, stepSizes, inputs, results, B, C, stepStride, end);
}

/** Splits h and its rest into H and e. */
function split(A: usize, h: usize, rest: usize, sum0: v128, sum1: v128, most0: v128, most1: v128): void {
  splitHalf(v128.load(A), h, rest, sum0, most0);
  splitHalf(v128.load(A, 16), h + 16, rest + 16, sum1, most1);
}

/** @inline */
function splitHalf(A: v128, h: usize, rest: usize, sum: v128, most: v128): void {
  const near = v128.and(f32x4.ge(f32x4.mul(sum, A), constant(Constant.NEAR_MIN)), keepsStep(A, most));
  const value = v128.load(h);
  v128.store(h, v128.and(value, near));
  v128.store(rest, v128.bitselect(v128.load(rest), value, near));
}

/**
 * Whether the largest step keeps more than 2^-1/2 of the state in all channels, so that no step's 2^x has a whole part.
 * @inline
 */
function isSmall(A: usize, most0: v128, most1: v128): bool {
  return i32x4.all_true(v128.and(keepsStep(v128.load(A), most0), keepsStep(v128.load(A, 16), most1)));
}

/** @inline */
function keepsStep(A: v128, most: v128): v128 {
  return f32x4.gt(f32x4.mul(most, A), constant(Constant.STEP_MIN));
}

/** Whether some channel that moves at all keeps 2^least of a state. @inline */
function keepsAny(A: usize, sum0: v128, sum1: v128, least: v128): bool {
  return v128.any_true(v128.or(keeps(v128.load(A), sum0, least), keeps(v128.load(A, 16), sum1, least)));
}

/** @inline */
function keeps(A: v128, sum: v128, least: v128): v128 {
  return v128.and(f32x4.gt(sum, f32x4.splat(0)), f32x4.ge(f32x4.mul(sum, A), least));
}

function small(
  A: usize, h: usize, rest: usize, stepSizes: usize, inputs: usize, results: usize, B: usize, C: usize,
  stepStride: usize, end: usize,
): void {
  const p1 = constant(Constant.P1);
  const p2 = constant(Constant.P2);
  const p3 = constant(Constant.P3);
  const p4 = constant(Constant.P4);
  const p5 = constant(Constant.P5);
  const A0 = v128.load(A);
  const A1 = v128.load(A, 16);
  const A2 = v128.load(A, 32);
  const A3 = v128.load(A, 48);
  const first0 = v128.load(h);
  const first1 = v128.load(h, 16);
  const first2 = v128.load(h, 32);
  const first3 = v128.load(h, 48);
  let e0 = v128.load(rest);
  let e1 = v128.load(rest, 16);
  let e2 = v128.load(rest, 32);
  let e3 = v128.load(rest, 48);
  let h0 = f32x4.add(first0, e0);
  let h1 = f32x4.add(first1, e1);
  let h2 = f32x4.add(first2, e2);
  let h3 = f32x4.add(first3, e3);
  for (let y = results; y < end; y += 32) {
    const d0 = v128.load(stepSizes);
    const d1 = v128.load(stepSizes, 16);
    const v0 = v128.load(inputs);
    const v1 = v128.load(inputs, 16);
    let q0 = power(f32x4.mul(d0, A0), p1, p2, p3, p4, p5);
    let q1 = power(f32x4.mul(d1, A1), p1, p2, p3, p4, p5);
    let Bn = v128.load32_splat(B);
    let Cn = v128.load32_splat(C);
    e0 = f32x4.add(e0, madd(h0, q0, f32x4.mul(v0, Bn)));
    e1 = f32x4.add(e1, madd(h1, q1, f32x4.mul(v1, Bn)));
    h0 = f32x4.add(first0, e0);
    h1 = f32x4.add(first1, e1);
    let y0 = madd(Cn, h0, v128.load(y));
    let y1 = madd(Cn, h1, v128.load(y, 16));
    q0 = power(f32x4.mul(d0, A2), p1, p2, p3, p4, p5);
    q1 = power(f32x4.mul(d1, A3), p1, p2, p3, p4, p5);
    Bn = v128.load32_splat(B, 4);
    Cn = v128.load32_splat(C, 4);
    e2 = f32x4.add(e2, madd(h2, q0, f32x4.mul(v0, Bn)));
    e3 = f32x4.add(e3, madd(h3, q1, f32x4.mul(v1, Bn)));
    h2 = f32x4.add(first2, e2);
    h3 = f32x4.add(first3, e3);
    y0 = madd(Cn, h2, y0);
    y1 = madd(Cn, h3, y1);
    v128.store(y, y0);
    v128.store(y, y1, 16);
    stepSizes += 32;
    inputs += 32;
    B += stepStride;
    C += stepStride;
  }
  v128.store(h, h0);
  v128.store(h, h1, 16);
  v128.store(h, h2, 32);
  v128.store(h, h3, 48);
  v128.store(rest, lost(first0, e0, h0));
  v128.store(rest, lost(first1, e1, h1), 16);
  v128.store(rest, lost(first2, e2, h2), 32);
  v128.store(rest, lost(first3, e3, h3), 48);
}

function mixed(
  A: usize, h: usize, rest: usize, stepSizes: usize, inputs: usize, results: usize, B: usize, C: usize,
  stepStride: usize, end: usize,
): void {
  const lowest = constant(Constant.POWER_MIN);
  const round = constant(Constant.ROUND_BIASED);
  const p1 = constant(Constant.P1);
  const p2 = constant(Constant.P2);
  const p3 = constant(Constant.P3);
  const p4 = constant(Constant.P4);
  const p5 = constant(Constant.P5);
  const A0 = v128.load(A);
  const A1 = v128.load(A, 16);
  const A2 = v128.load(A, 32);
  const A3 = v128.load(A, 48);
  const first0 = v128.load(h);
  const first1 = v128.load(h, 16);
  const first2 = v128.load(h, 32);
  const first3 = v128.load(h, 48);
  let e0 = v128.load(rest);
  let e1 = v128.load(rest, 16);
  let e2 = v128.load(rest, 32);
  let e3 = v128.load(rest, 48);
  let h0 = f32x4.add(first0, e0);
  let h1 = f32x4.add(first1, e1);
  let h2 = f32x4.add(first2, e2);
  let h3 = f32x4.add(first3, e3);
  for (let y = results; y < end; y += 32) {
    const d0 = v128.load(stepSizes);
    const d1 = v128.load(stepSizes, 16);
    const v0 = v128.load(inputs);
    const v1 = v128.load(inputs, 16);
    let x0 = f32x4.pmax(f32x4.mul(d0, A0), lowest);
    let x1 = f32x4.pmax(f32x4.mul(d1, A1), lowest);
    let t0 = f32x4.add(x0, round);
    let t1 = f32x4.add(x1, round);
    let q0 = power(f32x4.sub(x0, f32x4.sub(t0, round)), p1, p2, p3, p4, p5);
    let q1 = power(f32x4.sub(x1, f32x4.sub(t1, round)), p1, p2, p3, p4, p5);
    let s0 = i32x4.shl(t0, 23);
    let s1 = i32x4.shl(t1, 23);
    let Bn = v128.load32_splat(B);
    let Cn = v128.load32_splat(C);
    e0 = madd(madd(s0, q0, s0), e0, madd(q0, first0, f32x4.mul(v0, Bn)));
    e1 = madd(madd(s1, q1, s1), e1, madd(q1, first1, f32x4.mul(v1, Bn)));
    h0 = f32x4.add(first0, e0);
    h1 = f32x4.add(first1, e1);
    let y0 = madd(Cn, h0, v128.load(y));
    let y1 = madd(Cn, h1, v128.load(y, 16));
    x0 = f32x4.pmax(f32x4.mul(d0, A2), lowest);
    x1 = f32x4.pmax(f32x4.mul(d1, A3), lowest);
    t0 = f32x4.add(x0, round);
    t1 = f32x4.add(x1, round);
    q0 = power(f32x4.sub(x0, f32x4.sub(t0, round)), p1, p2, p3, p4, p5);
    q1 = power(f32x4.sub(x1, f32x4.sub(t1, round)), p1, p2, p3, p4, p5);
    s0 = i32x4.shl(t0, 23);
    s1 = i32x4.shl(t1, 23);
    Bn = v128.load32_splat(B, 4);
    Cn = v128.load32_splat(C, 4);
    e2 = madd(madd(s0, q0, s0), e2, madd(q0, first2, f32x4.mul(v0, Bn)));
    e3 = madd(madd(s1, q1, s1), e3, madd(q1, first3, f32x4.mul(v1, Bn)));
    h2 = f32x4.add(first2, e2);
    h3 = f32x4.add(first3, e3);
    y0 = madd(Cn, h2, y0);
    y1 = madd(Cn, h3, y1);
    v128.store(y, y0);
    v128.store(y, y1, 16);
    stepSizes += 32;
    inputs += 32;
    B += stepStride;
    C += stepStride;
  }
  v128.store(h, h0);
  v128.store(h, h1, 16);
  v128.store(h, h2, 32);
  v128.store(h, h3, 48);
  v128.store(rest, lost(first0, e0, h0));
  v128.store(rest, lost(first1, e1, h1), 16);
  v128.store(rest, lost(first2, e2, h2), 32);
  v128.store(rest, lost(first3, e3, h3), 48);
}

/** The odd state, as `mixed`. */
function mixedOne(
  A: usize, h: usize, rest: usize, stepSizes: usize, inputs: usize, results: usize, B: usize, C: usize,
  stepStride: usize, end: usize,
): void {
  const lowest = constant(Constant.POWER_MIN);
  const round = constant(Constant.ROUND_BIASED);
  const p1 = constant(Constant.P1);
  const p2 = constant(Constant.P2);
  const p3 = constant(Constant.P3);
  const p4 = constant(Constant.P4);
  const p5 = constant(Constant.P5);
  const A0 = v128.load(A);
  const A1 = v128.load(A, 16);
  const first0 = v128.load(h);
  const first1 = v128.load(h, 16);
  let e0 = v128.load(rest);
  let e1 = v128.load(rest, 16);
  let h0 = f32x4.add(first0, e0);
  let h1 = f32x4.add(first1, e1);
  for (let y = results; y < end; y += 32) {
    const x0 = f32x4.pmax(f32x4.mul(v128.load(stepSizes), A0), lowest);
    const x1 = f32x4.pmax(f32x4.mul(v128.load(stepSizes, 16), A1), lowest);
    const t0 = f32x4.add(x0, round);
    const t1 = f32x4.add(x1, round);
    const q0 = power(f32x4.sub(x0, f32x4.sub(t0, round)), p1, p2, p3, p4, p5);
    const q1 = power(f32x4.sub(x1, f32x4.sub(t1, round)), p1, p2, p3, p4, p5);
    const s0 = i32x4.shl(t0, 23);
    const s1 = i32x4.shl(t1, 23);
    const Bn = v128.load32_splat(B);
    const Cn = v128.load32_splat(C);
    e0 = madd(madd(s0, q0, s0), e0, madd(q0, first0, f32x4.mul(v128.load(inputs), Bn)));
    e1 = madd(madd(s1, q1, s1), e1, madd(q1, first1, f32x4.mul(v128.load(inputs, 16), Bn)));
    h0 = f32x4.add(first0, e0);
    h1 = f32x4.add(first1, e1);
    v128.store(y, madd(Cn, h0, v128.load(y)));
    v128.store(y, madd(Cn, h1, v128.load(y, 16)), 16);
    stepSizes += 32;
    inputs += 32;
    B += stepStride;
    C += stepStride;
  }
  v128.store(h, h0);
  v128.store(h, h1, 16);
  v128.store(rest, lost(first0, e0, h0));
  v128.store(rest, lost(first1, e1, h1), 16);
}

function forget(
  A: usize, h: usize, stepSizes: usize, inputs: usize, results: usize, B: usize, C: usize, stepStride: usize, end: usize,
): void {
  const lowest = constant(Constant.POWER_MIN);
  const round = constant(Constant.ROUND_BIASED);
  const p1 = constant(Constant.P1);
  const p2 = constant(Constant.P2);
  const p3 = constant(Constant.P3);
  const p4 = constant(Constant.P4);
  const p5 = constant(Constant.P5);
  const A0 = v128.load(A);
  const A1 = v128.load(A, 16);
  const A2 = v128.load(A, 32);
  const A3 = v128.load(A, 48);
  let h0 = v128.load(h);
  let h1 = v128.load(h, 16);
  let h2 = v128.load(h, 32);
  let h3 = v128.load(h, 48);
  let b = B;
  let c = C;
  let d = stepSizes;
  let v = inputs;
  for (let y = results; y < end; y += 32) {
    const d0 = v128.load(d);
    const d1 = v128.load(d, 16);
    const v0 = v128.load(v);
    const v1 = v128.load(v, 16);
    let x0 = f32x4.pmax(f32x4.mul(d0, A0), lowest);
    let x1 = f32x4.pmax(f32x4.mul(d1, A1), lowest);
    let t0 = f32x4.add(x0, round);
    let t1 = f32x4.add(x1, round);
    let q0 = power(f32x4.sub(x0, f32x4.sub(t0, round)), p1, p2, p3, p4, p5);
    let q1 = power(f32x4.sub(x1, f32x4.sub(t1, round)), p1, p2, p3, p4, p5);
    let Bn = v128.load32_splat(b);
    let Cn = v128.load32_splat(c);
    // The low bits of t are the exponent of 2^n.
    h0 = advance(f32x4.mul(h0, i32x4.shl(t0, 23)), q0, f32x4.mul(v0, Bn));
    h1 = advance(f32x4.mul(h1, i32x4.shl(t1, 23)), q1, f32x4.mul(v1, Bn));
    let y0 = madd(Cn, h0, v128.load(y));
    let y1 = madd(Cn, h1, v128.load(y, 16));
    x0 = f32x4.pmax(f32x4.mul(d0, A2), lowest);
    x1 = f32x4.pmax(f32x4.mul(d1, A3), lowest);
    t0 = f32x4.add(x0, round);
    t1 = f32x4.add(x1, round);
    q0 = power(f32x4.sub(x0, f32x4.sub(t0, round)), p1, p2, p3, p4, p5);
    q1 = power(f32x4.sub(x1, f32x4.sub(t1, round)), p1, p2, p3, p4, p5);
    Bn = v128.load32_splat(b, 4);
    Cn = v128.load32_splat(c, 4);
    h2 = advance(f32x4.mul(h2, i32x4.shl(t0, 23)), q0, f32x4.mul(v0, Bn));
    h3 = advance(f32x4.mul(h3, i32x4.shl(t1, 23)), q1, f32x4.mul(v1, Bn));
    y0 = madd(Cn, h2, y0);
    y1 = madd(Cn, h3, y1);
    v128.store(y, y0);
    v128.store(y, y1, 16);
    d += 32;
    v += 32;
    b += stepStride;
    c += stepStride;
  }
  v128.store(h, h0);
  v128.store(h, h1, 16);
  v128.store(h, h2, 32);
  v128.store(h, h3, 48);
}
