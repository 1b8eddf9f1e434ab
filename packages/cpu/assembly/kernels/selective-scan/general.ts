/**
 * Pass 2 of the selective scan for every case that decay.ts does not take: growing systems, zoh, bilinear, constant B
 * or C. It goes state by state, four channels at a time.
 *
 * The rounding error of a state whose decay is near 1 is added again a step later (`rest`, `left`), since the roundings
 * of equal steps all go one way; it is exact where the change is smaller than the state. Decays within 2^±1/2 keep
 * their distance from 1 (`near`), and others are formed as 2^n 2^r. zoh: expm1(d A) / A is d (2^r - 1) / r near 1, the
 * polynomial itself, so nothing is divided by an A that is 0 or subnormal. bilinear: the decay less 1 is x / (1 - x /
 * 2).
 */
import { Constant, constant } from '../../lib/constants';
import { madd } from '../../lib/madd';
import { boundedPower, powerOfTwo, ratioOf } from '../../lib/power';
import { Discretization, ScanPart, stepOffset } from './call';

/** `count` steps of a block from step `first` on; they are in one tile, and only the first may have a reset. */
export function general(part: ScanPart, block: i32, first: i32, count: i32): void {
  fourChannels(part, block, 0, first, count);
  fourChannels(part, block, 16, first, count);
}

/** The half of a block that begins `half` bytes behind its start. */
function fourChannels(part: ScanPart, block: i32, half: usize, first: i32, count: i32): void {
  const call = part.call;
  const state = call.state;
  const discretization = call.discretization;
  const constantB = call.constantB != 0;
  const constantC = call.constantC != 0;
  const row = <usize>first * call.stepStride;
  const strideB = constantB ? <usize>0 : call.stepStride;
  const strideC = constantC ? <usize>0 : call.stepStride;
  const at = ((<usize>block * <usize>state) << 5) + half;
  const steps = stepOffset(part, block, first) + half;
  const results = part.results + steps;
  const end = results + (<usize>count << 5);
  const one = constant(Constant.ONE);
  let A = part.blockA + at;
  let h = part.blockH + at;
  let rest = part.blockRest + at;
  let B = constantB ? part.blockB + at : part.B + row;
  let C = constantC ? part.blockC + at : part.C + row;
  for (let n = 0; n < state; n++) {
    const An = v128.load(A);
    let hn = v128.load(h);
    let left = v128.load(rest);
    let b = B;
    let c = C;
    let d = part.stepSizes + steps;
    let v = part.inputs + steps;
    for (let y = results; y < end; y += 32) {
      const Bn = constantB ? v128.load(b) : v128.load32_splat(b);
      const Cn = constantC ? v128.load(c) : v128.load32_splat(c);
      const step = v128.load(d);
      const input = f32x4.mul(v128.load(v), Bn);
      const x = f32x4.mul(step, An);
      const finite = f32x4.lt(f32x4.abs(hn), f32x4.splat(Infinity));
      if (discretization == Discretization.BILINEAR) {
        const half = f32x4.mul(x, constant(Constant.HALF));
        const divisor = f32x4.sub(one, half);
        const near = v128.and(f32x4.le(f32x4.abs(x), constant(Constant.HALF)), finite);
        const change = f32x4.add(f32x4.div(f32x4.add(f32x4.mul(x, hn), input), divisor), v128.and(left, near));
        const next = v128.bitselect(
          f32x4.add(hn, change),
          f32x4.add(f32x4.mul(f32x4.div(f32x4.add(one, half), divisor), hn), f32x4.div(input, divisor)),
          finite,
        );
        left = v128.and(f32x4.sub(change, f32x4.sub(next, hn)), near);
        hn = next;
      } else {
        const bounded = boundedPower(x);
        const shifted = f32x4.add(bounded, constant(Constant.ROUND));
        const exponent = i32x4.sub(shifted, constant(Constant.ROUND));
        const r = f32x4.sub(bounded, f32x4.sub(shifted, constant(Constant.ROUND)));
        const ratio = ratioOf(r);
        const power = f32x4.mul(ratio, r);
        const decay = powerOfTwo(power, exponent);
        const small = i32x4.eq(exponent, i32x4.splat(0));
        let added = input;
        if (discretization == Discretization.ZOH) {
          const log2e = constant(Constant.LOG2_E);
          const far = f32x4.div(f32x4.mul(f32x4.sub(decay, one), log2e), An);
          added = f32x4.mul(v128.bitselect(f32x4.mul(f32x4.mul(step, ratio), log2e), far, small), input);
        }
        const near = v128.and(small, finite);
        const change = f32x4.add(f32x4.add(f32x4.mul(power, hn), added), left);
        const next = v128.bitselect(f32x4.add(hn, change), f32x4.add(f32x4.mul(decay, hn), added), near);
        left = v128.and(f32x4.sub(change, f32x4.sub(next, hn)), near);
        hn = next;
      }
      v128.store(y, madd(Cn, hn, v128.load(y)));
      d += 32;
      v += 32;
      b += strideB;
      c += strideC;
    }
    v128.store(h, hn);
    v128.store(rest, left);
    A += 32;
    h += 32;
    rest += 32;
    B += constantB ? 32 : 4;
    C += constantC ? 32 : 4;
  }
}
