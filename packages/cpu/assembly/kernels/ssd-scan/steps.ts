/** The step sizes of a chunk of one head, and the decays from step to step. */
import { softplus } from '../../lib/activations';
import { exp } from '../../lib/exp';
import { SSD_CHUNK, SSD_PADDED, SsdPart } from './call';

/** What a reset adds to the sum of d A: exp of it is 0. A step's own d A is never less. */
const FORGET: f64 = -1e4;

/** Finds the step sizes and decays of `count` steps from `start` on. Step sizes behind the last are 0. */
export function takeSteps(part: SsdPart, head: i32, start: i32, count: i32): void {
  const call = part.call;
  const sizes = part.stepSizes;
  const place = <usize>head << 2;
  let dt = part.dt + <usize>start * call.dtStride + place;
  for (let t: usize = 0; t < <usize>count << 2; t += 4) {
    store<f32>(sizes + t, load<f32>(dt));
    dt += call.dtStride;
  }
  memory.fill(sizes + (<usize>count << 2), 0, <usize>(SSD_PADDED - count) << 2);
  limitSteps(part, head, count);
  sumSteps(part, load<f32>(call.A + place), start, count);
  takeDecays(part, count);
}

/** Steps after bias, softplus and limits. */
function limitSteps(part: SsdPart, head: i32, count: i32): void {
  const call = part.call;
  const bias = f32x4.splat(call.dtBias == 0 ? 0 : load<f32>(call.dtBias + (<usize>head << 2)));
  const least = f32x4.splat(call.dtMin);
  const most = f32x4.splat(call.dtMax);
  for (let t: usize = 0; t < <usize>count << 2; t += 16) {
    let d = f32x4.add(v128.load(part.stepSizes + t), bias);
    if (call.dtSoftplus) d = softplus(d);
    // With d as their first operand, pmax and pmin keep a NaN.
    v128.store(part.stepSizes + t, f32x4.pmin(f32x4.pmax(d, least), most));
  }
  for (let t = count; t & 3; t++) store<f32>(part.stepSizes + (<usize>t << 2), 0);
}

/**
 * Sums d A up to each step in float64 and keeps them as two floats, so that differences of two sums are as exact as a
 * product of the decays between them, however far both have come. Sums behind the last step repeat it.
 */
function sumSteps(part: SsdPart, A: f32, start: i32, count: i32): void {
  let sum: f64 = 0;
  for (let t = 0; t < SSD_PADDED; t++) {
    const at = <usize>t << 2;
    if (t < count) {
      let change = <f64>load<f32>(part.stepSizes + at) * <f64>A;
      if (change < FORGET) change = FORGET;
      if (part.resets != 0 && load<i32>(part.resets + (<usize>(start + t) << 2)) != 0) change = FORGET;
      sum += change;
    }
    const high = <f32>sum;
    store<f32>(part.sums + at, high);
    store<f32>(part.rests + at, <f32>(sum - <f64>high));
  }
}

function takeDecays(part: SsdPart, count: i32): void {
  const last = <usize>(count - 1) << 2;
  const high = v128.load32_splat(part.sums + last);
  const low = v128.load32_splat(part.rests + last);
  for (let t: usize = 0; t < <usize>SSD_PADDED << 2; t += 16) {
    const sum = v128.load(part.sums + t);
    const rest = v128.load(part.rests + t);
    v128.store(part.kept + t, exp(f32x4.add(sum, rest)));
    v128.store(part.left + t, exp(f32x4.add(f32x4.sub(high, sum), f32x4.sub(low, rest))));
  }
}

/**
 * L ∘ C Bᵀ: what each step hands to each later one of the chunk, and to itself unless `strict`; zero elsewhere, up to
 * whole vectors. Rows behind the last step are zero.
 */
export function decayGram(part: SsdPart, count: i32, strict: bool, gram: usize, to: usize): void {
  const first = i32x4(0, 1, 2, 3);
  for (let i = 0; i < SSD_CHUNK; i++) {
    const row = <usize>(i * SSD_PADDED) << 2;
    if (i >= count) {
      memory.fill(to + row, 0, SSD_PADDED << 2);
      continue;
    }
    const at = <usize>i << 2;
    const sum = v128.load32_splat(part.sums + at);
    const rest = v128.load32_splat(part.rests + at);
    const end = i32x4.splat(strict ? i : i + 1);
    let j = 0;
    for (; j <= i; j += 4) {
      const column = <usize>j << 2;
      const between = f32x4.add(
        f32x4.sub(sum, v128.load(part.sums + column)), f32x4.sub(rest, v128.load(part.rests + column)),
      );
      const value = f32x4.mul(v128.load(gram + row + column), exp(between));
      const inside = i32x4.lt_s(i32x4.add(first, i32x4.splat(j)), end);
      v128.store(to + row + column, v128.and(value, inside));
    }
    memory.fill(to + row + (<usize>j << 2), 0, <usize>(SSD_PADDED - j) << 2);
  }
}
