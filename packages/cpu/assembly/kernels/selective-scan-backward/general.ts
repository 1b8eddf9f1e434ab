/**
 * A chunk of a block for every case that euler.ts does not take: growing or infinite states, zoh, bilinear, constant B
 * or C. It goes state by state, four channels at a time.
 *
 * Forward keeps eight vectors for each step (`Term`). A decay that is near 1 is kept as its distance from 1, and so is
 * added to what it decays.
 */
import { Constant, constant } from '../../lib/constants';
import { madd } from '../../lib/madd';
import { boundedPower, powerOfTwo, ratioOf } from '../../lib/power';
import { Discretization, isReset } from '../selective-scan/call';
import { BackwardPart, Field, GRADIENTS, KEPT, RECORD, SCAN_CHUNK, SELECTIVE } from './call';

/** What is kept of a step, by its place in bytes. */
const enum Term {
  /** All ones where the decay is near 1. */
  NEAR = 0,
  /** The decay Abar, less 1 where it is near 1. */
  DECAY = 16,
  /** ∂Abar/∂d log2 e */
  DECAY_BY_STEP = 32,
  /** ∂Abar/∂A */
  DECAY_BY_A = 48,
  /** Bbar / (B d) for Euler's steps, which is 1, and else Bbar / B; the input of the first is d u. */
  SCALE = 64,
  /** ∂(Bbar/B)/∂d log2 e, except for Euler's steps. */
  SCALE_BY_STEP = 80,
  /** ∂(Bbar/B)/∂A */
  SCALE_BY_A = 96,
  /** The state before the step, after a reset. */
  BEFORE = 112,
}

export function general(part: BackwardPart, chunk: i32, block: i32, count: i32): void {
  fourChannels(part, chunk, block, 0, count);
  fourChannels(part, chunk, block, 16, count);
}

/** The half of a block that begins `half` bytes behind its start. */
function fourChannels(part: BackwardPart, chunk: i32, block: i32, half: usize, count: i32): void {
  const call = part.backward;
  const state = call.state;
  const euler = call.discretization == Discretization.EULER;
  const constantB = call.constantB != 0;
  const constantC = call.constantC != 0;
  const records = part.records + <usize>(block * SCAN_CHUNK) * RECORD + half;
  const first = chunk * SCAN_CHUNK;
  const kept = part.kept;
  for (let n = 0; n < state; n++) {
    const at = (<usize>(block * state + n) << 5) + half;
    const steps = <usize>((n >> 1) * SCAN_CHUNK);
    const odd = <usize>(n & 1);
    const B = constantB ? part.blockB + at : part.selective + steps * SELECTIVE + (odd << 2);
    const C = constantC ? part.blockC + at : part.selective + steps * SELECTIVE + (odd << 2) + 8;
    const dB = constantB ? part.blockDB + at : part.gradients + steps * GRADIENTS + (odd << 4);
    const dC = constantC ? part.blockDC + at : part.gradients + steps * GRADIENTS + (odd << 4) + 32;
    const strideB = constantB ? <usize>0 : SELECTIVE;
    const strideC = constantC ? <usize>0 : SELECTIVE;
    const strideDB = constantB ? <usize>0 : GRADIENTS;
    const strideDC = constantC ? <usize>0 : GRADIENTS;
    const A = v128.load(part.blockA + at);
    let h = v128.load(part.start + at);
    for (let t = 0; t < count; t++) {
      const index = <usize>t;
      const record = records + index * RECORD;
      const terms = kept + index * KEPT;
      const b = B + index * strideB;
      const c = C + index * strideC;
      const sumC = dC + index * strideDC;
      if (isReset(part, first + t)) h = f32x4.splat(0);
      discretize(call.discretization, v128.load(record, Field.STEP_SIZE), A, h, terms);
      const Bn = constantB ? v128.load(b) : v128.load32_splat(b);
      const Cn = constantC ? v128.load(c) : v128.load32_splat(c);
      const input = f32x4.mul(v128.load(terms, Term.SCALE), f32x4.mul(Bn, v128.load(record, Field.INPUT)));
      const stay = v128.and(h, v128.load(terms, Term.NEAR));
      h = f32x4.add(stay, madd(v128.load(terms, Term.DECAY), h, input));
      v128.store(record, madd(Cn, h, v128.load(record, Field.Y)), Field.Y);
      v128.store(sumC, madd(v128.load(record, Field.DS), h, v128.load(sumC)));
    }
    let g = v128.load(part.blockG + at);
    let dA = v128.load(part.blockDA + at);
    for (let t = count - 1; t >= 0; t--) {
      const index = <usize>t;
      const record = records + index * RECORD;
      const terms = kept + index * KEPT;
      const b = B + index * strideB;
      const c = C + index * strideC;
      const sumB = dB + index * strideDB;
      const Bn = constantB ? v128.load(b) : v128.load32_splat(b);
      const Cn = constantC ? v128.load(c) : v128.load32_splat(c);
      g = madd(v128.load(record, Field.DS), Cn, g);
      const v = v128.load(record, Field.INPUT);
      const scaled = f32x4.mul(g, v128.load(terms, Term.SCALE));
      const before = v128.load(terms, Term.BEFORE);
      const input = f32x4.mul(Bn, v);
      v128.store(sumB, madd(scaled, v, v128.load(sumB)));
      v128.store(record, madd(scaled, Bn, v128.load(record, Field.ENTERED)), Field.ENTERED);
      let byStep = f32x4.mul(before, v128.load(terms, Term.DECAY_BY_STEP));
      if (!euler) byStep = madd(input, v128.load(terms, Term.SCALE_BY_STEP), byStep);
      const sum = madd(g, byStep, v128.load(record, Field.SCALED_DECAY));
      v128.store(record, sum, Field.SCALED_DECAY);
      const byA = f32x4.mul(before, v128.load(terms, Term.DECAY_BY_A));
      dA = madd(g, madd(input, v128.load(terms, Term.SCALE_BY_A), byA), dA);
      g = isReset(part, first + t) ? f32x4.splat(0) : decayedBack(g, terms);
    }
    v128.store(part.blockG + at, g);
    v128.store(part.blockDA + at, dA);
  }
}

/** The decay times g; an infinite g is not added to. */
function decayedBack(g: v128, terms: usize): v128 {
  const near = v128.load(terms, Term.NEAR);
  const decay = v128.load(terms, Term.DECAY);
  const finite = f32x4.lt(f32x4.abs(g), f32x4.splat(Infinity));
  const whole = f32x4.mul(g, f32x4.add(decay, v128.and(near, constant(Constant.ONE))));
  return v128.bitselect(madd(g, decay, v128.and(near, g)), whole, finite);
}

/** Writes the terms of a step of size d from the state h. A is times log2 e but for bilinear steps. */
function discretize(discretization: Discretization, d: v128, A: v128, h: v128, terms: usize): void {
  const one = constant(Constant.ONE);
  const log2e = constant(Constant.LOG2_E);
  const x = f32x4.mul(d, A);
  const finite = f32x4.lt(f32x4.abs(h), f32x4.splat(Infinity));
  v128.store(terms, h, Term.BEFORE);
  if (discretization == Discretization.BILINEAR) {
    const half = f32x4.mul(x, constant(Constant.HALF));
    const inverse = f32x4.div(one, f32x4.sub(one, half));
    const square = f32x4.mul(inverse, inverse);
    const near = v128.and(f32x4.le(f32x4.abs(x), constant(Constant.HALF)), finite);
    const whole = f32x4.mul(f32x4.add(one, half), inverse);
    const byStep = f32x4.mul(log2e, square);
    v128.store(terms, near, Term.NEAR);
    v128.store(terms, v128.bitselect(f32x4.mul(x, inverse), whole, near), Term.DECAY);
    v128.store(terms, f32x4.mul(A, byStep), Term.DECAY_BY_STEP);
    v128.store(terms, f32x4.mul(d, square), Term.DECAY_BY_A);
    v128.store(terms, f32x4.mul(d, inverse), Term.SCALE);
    v128.store(terms, byStep, Term.SCALE_BY_STEP);
    v128.store(terms, f32x4.mul(f32x4.mul(f32x4.mul(d, d), constant(Constant.HALF)), square), Term.SCALE_BY_A);
    return;
  }
  const round = constant(Constant.ROUND);
  const bounded = boundedPower(x);
  const shifted = f32x4.add(bounded, round);
  const exponent = i32x4.sub(shifted, round);
  const r = f32x4.sub(bounded, f32x4.sub(shifted, round));
  const ratio = ratioOf(r);
  const power = f32x4.mul(ratio, r);
  const decay = powerOfTwo(power, exponent);
  const small = i32x4.eq(exponent, i32x4.splat(0));
  const near = v128.and(small, finite);
  v128.store(terms, near, Term.NEAR);
  v128.store(terms, v128.bitselect(power, decay, near), Term.DECAY);
  v128.store(terms, f32x4.mul(A, decay), Term.DECAY_BY_STEP);
  v128.store(terms, f32x4.mul(d, decay), Term.DECAY_BY_A);
  if (discretization == Discretization.EULER) {
    v128.store(terms, one, Term.SCALE);
    v128.store(terms, f32x4.splat(0), Term.SCALE_BY_A);
    return;
  }
  const far = f32x4.div(f32x4.mul(f32x4.sub(decay, one), log2e), A);
  v128.store(terms, v128.bitselect(f32x4.mul(f32x4.mul(d, ratio), log2e), far, small), Term.SCALE);
  v128.store(terms, f32x4.mul(log2e, decay), Term.SCALE_BY_STEP);
  const slope = ratioSlope(f32x4.mul(x, constant(Constant.LN2)), decay);
  v128.store(terms, f32x4.mul(f32x4.mul(d, d), slope), Term.SCALE_BY_A);
}

/**
 * The derivative of (exp(x) - 1) / x: ((x - 1) exp(x) + 1) / x², and Σ (k + 1) / (k + 2)! x^k within ±1/2, where that
 * cancels.
 */
function ratioSlope(x: v128, power: v128): v128 {
  const one = constant(Constant.ONE);
  let series = f32x4.splat(1.0 / 5760.0);
  series = madd(series, x, f32x4.splat(1.0 / 840.0));
  series = madd(series, x, f32x4.splat(1.0 / 144.0));
  series = madd(series, x, f32x4.splat(1.0 / 30.0));
  series = madd(series, x, f32x4.splat(1.0 / 8.0));
  series = madd(series, x, f32x4.splat(1.0 / 3.0));
  series = madd(series, x, constant(Constant.HALF));
  const far = f32x4.div(f32x4.add(f32x4.mul(f32x4.sub(x, one), power), one), f32x4.mul(x, x));
  return v128.bitselect(series, far, f32x4.lt(f32x4.abs(x), constant(Constant.HALF)));
}
