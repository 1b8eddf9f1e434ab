/**
 * The steps of a tile for two states, or one, of a block of eight channels, in one of the ways that decay.ts describes.
 * A and h are blocks `[2, 8]`; h holds H, and `rest` holds e. Afterwards h is the state, and `rest` is what rounding
 * took from it.
 */
import { Constant, constant } from '../../lib/constants';
import { madd } from '../../lib/madd';
import { advance, lost, power } from '../../lib/power';

const enum Way {
  SMALL,
  MIXED,
  FORGET,
}

export function small(
  A: usize, h: usize, rest: usize, stepSizes: usize, inputs: usize, results: usize, B: usize, C: usize,
  stepStride: usize, end: usize,
): void {
  twoStates(Way.SMALL, true, A, h, rest, stepSizes, inputs, results, B, C, stepStride, end);
}

export function mixed(
  A: usize, h: usize, rest: usize, stepSizes: usize, inputs: usize, results: usize, B: usize, C: usize,
  stepStride: usize, end: usize,
): void {
  twoStates(Way.MIXED, true, A, h, rest, stepSizes, inputs, results, B, C, stepStride, end);
}

/** Here h is the state from the start, and no rest is kept. */
export function forget(
  A: usize, h: usize, stepSizes: usize, inputs: usize, results: usize, B: usize, C: usize, stepStride: usize,
  end: usize,
): void {
  twoStates(Way.FORGET, true, A, h, 0, stepSizes, inputs, results, B, C, stepStride, end);
}

/** As `small`, without y; `end` is where the step sizes end. So are those below. */
export function smallStates(
  A: usize, h: usize, rest: usize, stepSizes: usize, inputs: usize, B: usize, stepStride: usize, end: usize,
): void {
  twoStates(Way.SMALL, false, A, h, rest, stepSizes, inputs, stepSizes, B, 0, stepStride, end);
}

export function mixedStates(
  A: usize, h: usize, rest: usize, stepSizes: usize, inputs: usize, B: usize, stepStride: usize, end: usize,
): void {
  twoStates(Way.MIXED, false, A, h, rest, stepSizes, inputs, stepSizes, B, 0, stepStride, end);
}

export function forgetStates(
  A: usize, h: usize, stepSizes: usize, inputs: usize, B: usize, stepStride: usize, end: usize,
): void {
  twoStates(Way.FORGET, false, A, h, 0, stepSizes, inputs, stepSizes, B, 0, stepStride, end);
}

/** `way` and `outputs`, whether y is wanted, are constants: each combination has a loop of its own. @inline */
function twoStates(
  way: Way, outputs: bool, A: usize, h: usize, rest: usize, stepSizes: usize, inputs: usize, results: usize, B: usize,
  C: usize, stepStride: usize, end: usize,
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
  const H0 = v128.load(h);
  const H1 = v128.load(h, 16);
  const H2 = v128.load(h, 32);
  const H3 = v128.load(h, 48);
  let e0 = way == Way.FORGET ? H0 : v128.load(rest);
  let e1 = way == Way.FORGET ? H1 : v128.load(rest, 16);
  let e2 = way == Way.FORGET ? H2 : v128.load(rest, 32);
  let e3 = way == Way.FORGET ? H3 : v128.load(rest, 48);
  let h0 = stateOf(way, H0, e0);
  let h1 = stateOf(way, H1, e1);
  let h2 = stateOf(way, H2, e2);
  let h3 = stateOf(way, H3, e3);
  for (let y = results; y < end; y += 32) {
    const d0 = v128.load(stepSizes);
    const d1 = v128.load(stepSizes, 16);
    const v0 = v128.load(inputs);
    const v1 = v128.load(inputs, 16);
    let x0 = bounded(way, f32x4.mul(d0, A0), lowest);
    let x1 = bounded(way, f32x4.mul(d1, A1), lowest);
    let t0 = f32x4.add(x0, round);
    let t1 = f32x4.add(x1, round);
    let q0 = power(fraction(way, x0, t0, round), p1, p2, p3, p4, p5);
    let q1 = power(fraction(way, x1, t1, round), p1, p2, p3, p4, p5);
    let Bn = v128.load32_splat(B);
    e0 = advanced(way, H0, e0, h0, q0, t0, f32x4.mul(v0, Bn));
    e1 = advanced(way, H1, e1, h1, q1, t1, f32x4.mul(v1, Bn));
    h0 = stateOf(way, H0, e0);
    h1 = stateOf(way, H1, e1);
    let y0 = h0;
    let y1 = h1;
    if (outputs) {
      const Cn = v128.load32_splat(C);
      y0 = madd(Cn, h0, v128.load(y));
      y1 = madd(Cn, h1, v128.load(y, 16));
    }
    x0 = bounded(way, f32x4.mul(d0, A2), lowest);
    x1 = bounded(way, f32x4.mul(d1, A3), lowest);
    t0 = f32x4.add(x0, round);
    t1 = f32x4.add(x1, round);
    q0 = power(fraction(way, x0, t0, round), p1, p2, p3, p4, p5);
    q1 = power(fraction(way, x1, t1, round), p1, p2, p3, p4, p5);
    Bn = v128.load32_splat(B, 4);
    e2 = advanced(way, H2, e2, h2, q0, t0, f32x4.mul(v0, Bn));
    e3 = advanced(way, H3, e3, h3, q1, t1, f32x4.mul(v1, Bn));
    h2 = stateOf(way, H2, e2);
    h3 = stateOf(way, H3, e3);
    if (outputs) {
      const Cn = v128.load32_splat(C, 4);
      y0 = madd(Cn, h2, y0);
      y1 = madd(Cn, h3, y1);
      v128.store(y, y0);
      v128.store(y, y1, 16);
    }
    stepSizes += 32;
    inputs += 32;
    B += stepStride;
    C += stepStride;
  }
  v128.store(h, h0);
  v128.store(h, h1, 16);
  v128.store(h, h2, 32);
  v128.store(h, h3, 48);
  if (way == Way.FORGET) return;
  v128.store(rest, lost(H0, e0, h0));
  v128.store(rest, lost(H1, e1, h1), 16);
  v128.store(rest, lost(H2, e2, h2), 32);
  v128.store(rest, lost(H3, e3, h3), 48);
}

/** The odd state, as `mixed`; A and h are blocks `[1, 8]`. */
export function mixedOne(
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
  const H0 = v128.load(h);
  const H1 = v128.load(h, 16);
  let e0 = v128.load(rest);
  let e1 = v128.load(rest, 16);
  let h0 = f32x4.add(H0, e0);
  let h1 = f32x4.add(H1, e1);
  for (let y = results; y < end; y += 32) {
    const x0 = bounded(Way.MIXED, f32x4.mul(v128.load(stepSizes), A0), lowest);
    const x1 = bounded(Way.MIXED, f32x4.mul(v128.load(stepSizes, 16), A1), lowest);
    const t0 = f32x4.add(x0, round);
    const t1 = f32x4.add(x1, round);
    const q0 = power(fraction(Way.MIXED, x0, t0, round), p1, p2, p3, p4, p5);
    const q1 = power(fraction(Way.MIXED, x1, t1, round), p1, p2, p3, p4, p5);
    const Bn = v128.load32_splat(B);
    const Cn = v128.load32_splat(C);
    e0 = advanced(Way.MIXED, H0, e0, h0, q0, t0, f32x4.mul(v128.load(inputs), Bn));
    e1 = advanced(Way.MIXED, H1, e1, h1, q1, t1, f32x4.mul(v128.load(inputs, 16), Bn));
    h0 = f32x4.add(H0, e0);
    h1 = f32x4.add(H1, e1);
    v128.store(y, madd(Cn, h0, v128.load(y)));
    v128.store(y, madd(Cn, h1, v128.load(y, 16)), 16);
    stepSizes += 32;
    inputs += 32;
    B += stepStride;
    C += stepStride;
  }
  v128.store(h, h0);
  v128.store(h, h1, 16);
  v128.store(rest, lost(H0, e0, h0));
  v128.store(rest, lost(H1, e1, h1), 16);
}

/** The state that H and e stand for. @inline */
function stateOf(way: Way, H: v128, e: v128): v128 {
  return way == Way.FORGET ? e : f32x4.add(H, e);
}

/** The exponent x of a decay 2^x, not below where 2^x is 0. @inline */
function bounded(way: Way, x: v128, lowest: v128): v128 {
  return way == Way.SMALL ? x : f32x4.pmax(x, lowest);
}

/** x less its nearest integer, which t holds beside ROUND_BIASED; all of x where that is 0. @inline */
function fraction(way: Way, x: v128, t: v128, round: v128): v128 {
  return way == Way.SMALL ? x : f32x4.sub(x, f32x4.sub(t, round));
}

/** e after a step, where q = 2^r - 1 and the low bits of t are the exponent of 2^n. @inline */
function advanced(way: Way, H: v128, e: v128, h: v128, q: v128, t: v128, input: v128): v128 {
  if (way == Way.SMALL) return f32x4.add(e, madd(h, q, input));
  const s = i32x4.shl(t, 23);
  if (way == Way.FORGET) return advance(f32x4.mul(e, s), q, input);
  return madd(madd(s, q, s), e, madd(q, H, input));
}
