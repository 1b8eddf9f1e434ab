/**
 * Pass 2 of the selective scan for a block of eight channels whose steps are Euler's and decay: two states at a time,
 * then the odd one.
 *
 * The roundings of equal steps all go one way, and add up for as long as a state remembers. So where a channel keeps
 * half of a state or more over the tile it is `near`: its state is H + e, with H from the start of the tile and e what
 * has come since, so that a step rounds e alone. H + e is handed on with its rounding error (`rest`). Elsewhere H is 0
 * and e is the state: a step rounds 6e-8 of it, and it remembers some 60 steps. A tile takes each pair of states in one
 * of three ways:
 *
 * - `small`, where no step takes more than 2^-1/2: e' = e + (h (2^x - 1) + d u B); 2^x has no whole part, so there are
 *   fewer operations;
 * - `mixed`, where some do, and some channel keeps 2^-1/4 in 40 steps: e' = 2^x e + ((2^x - 1) H + d u B);
 * - `forget`, where some do, and none keeps so much: h' = s h + (s h (2^r - 1) + d u B), as in scan.ts; its states
 *   remember 230 steps at most.
 */
import { Constant, constant } from '../../lib/constants';
import { ScanPart, stepOffset } from './call';
import { forget, forgetStates, mixed, mixedOne, mixedStates, small, smallStates } from './decay-states';

/**
 * `count` steps of a block from step `first` on; they are in one tile, and only the first may have a reset. y is not
 * computed, but for the odd state's part of it, where `outputs` is false.
 */
export function decay(part: ScanPart, block: i32, first: i32, count: i32, outputs: bool): void {
  const state = part.call.state;
  const stepStride = part.call.stepStride;
  const at = (<usize>block * <usize>state) << 5;
  const offset = stepOffset(part, block, first);
  const row = <usize>first * stepStride;
  const stepSizes = part.stepSizes + offset;
  const inputs = part.inputs + offset;
  const results = part.results + offset;
  const end = results + (<usize>count << 5);
  const last = stepSizes + (<usize>count << 5);
  let A = part.blockA + at;
  let h = part.blockH + at;
  let rest = part.blockRest + at;
  let B = part.B + row;
  let C = part.C + row;
  let sum0 = f32x4.splat(0);
  let sum1 = sum0;
  let most0 = sum0;
  let most1 = sum0;
  for (let d = stepSizes; d < last; d += 32) {
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
      if (!outputs) {
        if (alike) smallStates(A, h, rest, stepSizes, inputs, B, stepStride, last);
        else mixedStates(A, h, rest, stepSizes, inputs, B, stepStride, last);
      } else if (alike) small(A, h, rest, stepSizes, inputs, results, B, C, stepStride, end);
      else mixed(A, h, rest, stepSizes, inputs, results, B, C, stepStride, end);
    } else {
      if (outputs) forget(A, h, stepSizes, inputs, results, B, C, stepStride, end);
      else forgetStates(A, h, stepSizes, inputs, B, stepStride, last);
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
