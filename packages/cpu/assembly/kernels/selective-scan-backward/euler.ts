/**
 * A chunk of a block of eight channels whose steps are Euler's and decay, two states at a time: forward from the states
 * before the chunk, then backward.
 *
 * The decay is a = s + s q with s a power of two and q = 2^r - 1, exact where a is near 1 and where it is small.
 * Forward keeps s, s q and the decayed state a h of each step. `near` is where no step takes more than 2^-1/2: s is 1
 * there.
 */
import { Constant, constant } from '../../lib/constants';
import { copy } from '../../lib/lanes';
import { madd } from '../../lib/madd';
import { power } from '../../lib/power';
import { isReset, nextReset } from '../selective-scan/call';
import { BackwardPart, Field, GRADIENTS, KEPT, PAIR, RECORD, SCAN_CHUNK, SELECTIVE } from './call';

/** Places in a pair's memory. */
const H: usize = 64;
const G: usize = 128;
const DA: usize = 192;

export function euler(part: BackwardPart, chunk: i32, block: i32, count: i32): void {
  const state = part.call.state;
  const pair = part.pair;
  const records = part.records + <usize>(block * SCAN_CHUNK) * RECORD;
  for (let n = 0; n < state; n += 2) {
    const at = <usize>(block * state + n) << 5;
    const bytes: usize = n + 1 < state ? 64 : 32;
    if (bytes == 32) memory.fill(pair, 0, PAIR);
    copy(pair, part.blockA + at, bytes);
    copy(pair + H, part.start + at, bytes);
    copy(pair + G, part.blockG + at, bytes);
    copy(pair + DA, part.blockDA + at, bytes);
    const steps = <usize>((n >> 1) * SCAN_CHUNK);
    const selective = part.selective + steps * SELECTIVE;
    const gradients = part.gradients + steps * GRADIENTS;
    const near = isNear(pair, part.largest);
    const start = chunk * SCAN_CHUNK;
    const end = start + count;
    if (part.resets == 0) {
      forward(near, pair, 0, count, records, selective, gradients, part.kept);
      backward(near, pair, 0, count, records, selective, gradients, part.kept);
    } else {
      for (let first = start; first < end; ) {
        const next = nextReset(part, first, end);
        if (isReset(part, first)) memory.fill(pair + H, 0, 64);
        forward(near, pair, first - start, next - start, records, selective, gradients, part.kept);
        first = next;
      }
      for (let last = end; last > start; ) {
        let first = last - 1;
        while (first > start && !isReset(part, first)) first--;
        backward(near, pair, first - start, last - start, records, selective, gradients, part.kept);
        if (isReset(part, first)) memory.fill(pair + G, 0, 64);
        last = first;
      }
    }
    copy(part.blockG + at, pair + G, bytes);
    copy(part.blockDA + at, pair + DA, bytes);
  }
}

/** Whether no step of two states takes more than 2^-1/2. */
function isNear(A: usize, largest: usize): bool {
  const least = constant(Constant.STEP_MIN);
  const low = v128.load(largest);
  const high = v128.load(largest, 16);
  const first = v128.and(
    f32x4.ge(f32x4.mul(v128.load(A), low), least), f32x4.ge(f32x4.mul(v128.load(A, 16), high), least),
  );
  const second = v128.and(
    f32x4.ge(f32x4.mul(v128.load(A, 32), low), least), f32x4.ge(f32x4.mul(v128.load(A, 48), high), least),
  );
  return i32x4.all_true(v128.and(first, second));
}

/** Steps from `first` to `end` of a chunk, forward. */
function forward(
  near: bool, pair: usize, first: i32, end: i32, records: usize, selective: usize, gradients: usize, kept: usize,
): void {
  const from = <usize>first;
  const record = records + from * RECORD;
  const values = selective + from * SELECTIVE;
  const sums = gradients + from * GRADIENTS;
  const last = kept + <usize>end * KEPT;
  if (near) nearForward(pair, record, values, sums, kept + from * KEPT, last);
  else anyForward(pair, record, values, sums, kept + from * KEPT, last);
}

/** The same steps backward. */
function backward(
  near: bool, pair: usize, first: i32, end: i32, records: usize, selective: usize, gradients: usize, kept: usize,
): void {
  const from = <usize>end;
  const record = records + from * RECORD;
  const values = selective + from * SELECTIVE;
  const sums = gradients + from * GRADIENTS;
  const last = kept + <usize>first * KEPT;
  if (near) nearBackward(pair, record, values, sums, kept + from * KEPT, last);
  else anyBackward(pair, record, values, sums, kept + from * KEPT, last);
}

// Functions of their own, since the compiler makes one of two branches that differ in a constant alone.

function nearForward(
  pair: usize, record: usize, selective: usize, gradients: usize, kept: usize, end: usize,
): void {
  statesAgain(true, pair, record, selective, gradients, kept, end);
}

function anyForward(
  pair: usize, record: usize, selective: usize, gradients: usize, kept: usize, end: usize,
): void {
  statesAgain(false, pair, record, selective, gradients, kept, end);
}

function nearBackward(
  pair: usize, record: usize, selective: usize, gradients: usize, kept: usize, end: usize,
): void {
  gradientsBack(true, pair, record, selective, gradients, kept, end);
}

function anyBackward(
  pair: usize, record: usize, selective: usize, gradients: usize, kept: usize, end: usize,
): void {
  gradientsBack(false, pair, record, selective, gradients, kept, end);
}

/**
 * Forward: the states, y and the sums for dC. A step keeps four vectors each of s q, a h and, unless `near`, s. @inline
 */
function statesAgain(
  near: bool, pair: usize, record: usize, selective: usize, gradients: usize, kept: usize, end: usize,
): void {
  const lowest = constant(Constant.DECAY_MIN);
  const round = constant(Constant.ROUND_BIASED);
  const p1 = constant(Constant.P1);
  const p2 = constant(Constant.P2);
  const p3 = constant(Constant.P3);
  const p4 = constant(Constant.P4);
  const p5 = constant(Constant.P5);
  const A0 = v128.load(pair);
  const A1 = v128.load(pair, 16);
  const A2 = v128.load(pair, 32);
  const A3 = v128.load(pair, 48);
  let h0 = v128.load(pair, H);
  let h1 = v128.load(pair, H + 16);
  let h2 = v128.load(pair, H + 32);
  let h3 = v128.load(pair, H + 48);
  for (; kept < end; kept += KEPT) {
    const d0 = v128.load(record, Field.STEP_SIZE);
    const d1 = v128.load(record, Field.STEP_SIZE + 16);
    const v0 = v128.load(record, Field.INPUT);
    const v1 = v128.load(record, Field.INPUT + 16);
    const ds0 = v128.load(record, Field.DS);
    const ds1 = v128.load(record, Field.DS + 16);
    let x0 = bounded(near, f32x4.mul(d0, A0), lowest);
    let x1 = bounded(near, f32x4.mul(d1, A1), lowest);
    let t0 = f32x4.add(x0, round);
    let t1 = f32x4.add(x1, round);
    let q0 = power(fraction(near, x0, t0, round), p1, p2, p3, p4, p5);
    let q1 = power(fraction(near, x1, t1, round), p1, p2, p3, p4, p5);
    let s0 = i32x4.shl(t0, 23);
    let s1 = i32x4.shl(t1, 23);
    let w0 = near ? q0 : f32x4.mul(s0, q0);
    let w1 = near ? q1 : f32x4.mul(s1, q1);
    let a0 = decayed(near, h0, w0, s0);
    let a1 = decayed(near, h1, w1, s1);
    let Bn = v128.load32_splat(selective);
    let Cn = v128.load32_splat(selective, 8);
    h0 = madd(v0, Bn, a0);
    h1 = madd(v1, Bn, a1);
    v128.store(kept, w0);
    v128.store(kept, w1, 16);
    v128.store(kept, a0, 64);
    v128.store(kept, a1, 80);
    if (!near) {
      v128.store(kept, s0, 128);
      v128.store(kept, s1, 144);
    }
    v128.store(gradients, madd(ds1, h1, madd(ds0, h0, v128.load(gradients, 32))), 32);
    let y0 = madd(Cn, h0, v128.load(record, Field.Y));
    let y1 = madd(Cn, h1, v128.load(record, Field.Y + 16));
    x0 = bounded(near, f32x4.mul(d0, A2), lowest);
    x1 = bounded(near, f32x4.mul(d1, A3), lowest);
    t0 = f32x4.add(x0, round);
    t1 = f32x4.add(x1, round);
    q0 = power(fraction(near, x0, t0, round), p1, p2, p3, p4, p5);
    q1 = power(fraction(near, x1, t1, round), p1, p2, p3, p4, p5);
    s0 = i32x4.shl(t0, 23);
    s1 = i32x4.shl(t1, 23);
    w0 = near ? q0 : f32x4.mul(s0, q0);
    w1 = near ? q1 : f32x4.mul(s1, q1);
    a0 = decayed(near, h2, w0, s0);
    a1 = decayed(near, h3, w1, s1);
    Bn = v128.load32_splat(selective, 4);
    Cn = v128.load32_splat(selective, 12);
    h2 = madd(v0, Bn, a0);
    h3 = madd(v1, Bn, a1);
    y0 = madd(Cn, h2, y0);
    y1 = madd(Cn, h3, y1);
    v128.store(kept, w0, 32);
    v128.store(kept, w1, 48);
    v128.store(kept, a0, 96);
    v128.store(kept, a1, 112);
    if (!near) {
      v128.store(kept, s0, 160);
      v128.store(kept, s1, 176);
    }
    v128.store(gradients, madd(ds1, h3, madd(ds0, h2, v128.load(gradients, 48))), 48);
    v128.store(record, y0, Field.Y);
    v128.store(record, y1, Field.Y + 16);
    record += RECORD;
    selective += SELECTIVE;
    gradients += GRADIENTS;
  }
  v128.store(pair, h0, H);
  v128.store(pair, h1, H + 16);
  v128.store(pair, h2, H + 32);
  v128.store(pair, h3, H + 48);
}

/**
 * Backward, from the step before the addresses down to `end`: the gradient of the state, dA, and all other sums.
 * @inline
 */
function gradientsBack(
  near: bool, pair: usize, record: usize, selective: usize, gradients: usize, kept: usize, end: usize,
): void {
  const A0 = v128.load(pair);
  const A1 = v128.load(pair, 16);
  const A2 = v128.load(pair, 32);
  const A3 = v128.load(pair, 48);
  let g0 = v128.load(pair, G);
  let g1 = v128.load(pair, G + 16);
  let g2 = v128.load(pair, G + 32);
  let g3 = v128.load(pair, G + 48);
  let dA0 = v128.load(pair, DA);
  let dA1 = v128.load(pair, DA + 16);
  let dA2 = v128.load(pair, DA + 32);
  let dA3 = v128.load(pair, DA + 48);
  while (kept > end) {
    kept -= KEPT;
    record -= RECORD;
    selective -= SELECTIVE;
    gradients -= GRADIENTS;
    const d0 = v128.load(record, Field.STEP_SIZE);
    const d1 = v128.load(record, Field.STEP_SIZE + 16);
    const v0 = v128.load(record, Field.INPUT);
    const v1 = v128.load(record, Field.INPUT + 16);
    const ds0 = v128.load(record, Field.DS);
    const ds1 = v128.load(record, Field.DS + 16);
    let Bn = v128.load32_splat(selective);
    let Cn = v128.load32_splat(selective, 8);
    g0 = madd(ds0, Cn, g0);
    g1 = madd(ds1, Cn, g1);
    let p0 = f32x4.mul(g0, v128.load(kept, 64));
    let p1 = f32x4.mul(g1, v128.load(kept, 80));
    let decay0 = madd(A0, p0, v128.load(record, Field.SCALED_DECAY));
    let decay1 = madd(A1, p1, v128.load(record, Field.SCALED_DECAY + 16));
    let entered0 = madd(g0, Bn, v128.load(record, Field.ENTERED));
    let entered1 = madd(g1, Bn, v128.load(record, Field.ENTERED + 16));
    dA0 = madd(d0, p0, dA0);
    dA1 = madd(d1, p1, dA1);
    const b0 = madd(g1, v1, madd(g0, v0, v128.load(gradients)));
    g0 = madd(g0, v128.load(kept), near ? g0 : f32x4.mul(g0, v128.load(kept, 128)));
    g1 = madd(g1, v128.load(kept, 16), near ? g1 : f32x4.mul(g1, v128.load(kept, 144)));
    Bn = v128.load32_splat(selective, 4);
    Cn = v128.load32_splat(selective, 12);
    g2 = madd(ds0, Cn, g2);
    g3 = madd(ds1, Cn, g3);
    p0 = f32x4.mul(g2, v128.load(kept, 96));
    p1 = f32x4.mul(g3, v128.load(kept, 112));
    decay0 = madd(A2, p0, decay0);
    decay1 = madd(A3, p1, decay1);
    entered0 = madd(g2, Bn, entered0);
    entered1 = madd(g3, Bn, entered1);
    dA2 = madd(d0, p0, dA2);
    dA3 = madd(d1, p1, dA3);
    const b1 = madd(g3, v1, madd(g2, v0, v128.load(gradients, 16)));
    v128.store(record, decay0, Field.SCALED_DECAY);
    v128.store(record, decay1, Field.SCALED_DECAY + 16);
    v128.store(record, entered0, Field.ENTERED);
    v128.store(record, entered1, Field.ENTERED + 16);
    g2 = madd(g2, v128.load(kept, 32), near ? g2 : f32x4.mul(g2, v128.load(kept, 160)));
    g3 = madd(g3, v128.load(kept, 48), near ? g3 : f32x4.mul(g3, v128.load(kept, 176)));
    v128.store(gradients, b0);
    v128.store(gradients, b1, 16);
  }
  v128.store(pair, g0, G);
  v128.store(pair, g1, G + 16);
  v128.store(pair, g2, G + 32);
  v128.store(pair, g3, G + 48);
  v128.store(pair, dA0, DA);
  v128.store(pair, dA1, DA + 16);
  v128.store(pair, dA2, DA + 32);
  v128.store(pair, dA3, DA + 48);
}

/** The exponent x of a decay 2^x, not below where a decay counts. @inline */
function bounded(near: bool, x: v128, lowest: v128): v128 {
  return near ? x : f32x4.pmax(x, lowest);
}

/** x less its nearest integer, which t holds beside ROUND_BIASED; all of x where that is 0. @inline */
function fraction(near: bool, x: v128, t: v128, round: v128): v128 {
  return near ? x : f32x4.sub(x, f32x4.sub(t, round));
}

/** s h + w h, and h + w h where s is 1. @inline */
function decayed(near: bool, h: v128, w: v128, s: v128): v128 {
  return madd(h, w, near ? h : f32x4.mul(h, s));
}
