/** The first and the last pass over a chunk, which read and write rows in order. */
import { sigmoid, softplus } from '../../lib/activations';
import { Constant, constant } from '../../lib/constants';
import { loadPart, storePart } from '../../lib/lanes';
import { madd } from '../../lib/madd';
import { ratioOf } from '../../lib/power';
import { Discretization } from '../selective-scan/call';
import { BackwardPart, Field, RECORD, SCAN_CHUNK } from './call';

/** Computes the step sizes of `count` steps from `start`, the beginning of a chunk, into what becomes ddelta. */
export function stepsAgain(part: BackwardPart, start: i32, count: i32): void {
  const call = part.backward;
  const channels = part.channels;
  const rowStride = call.rowStride;
  const deltaSoftplus = call.deltaSoftplus != 0;
  const bias = part.deltaBias;
  const usual = deltaSoftplus && bias != 0;
  const row = <usize>start * rowStride;
  let delta = part.delta + row;
  let stepSizes = call.ddelta + part.activationOffset + row;
  for (let t = 0; t < count; t++) {
    let c = 0;
    if (usual) {
      for (; c + 8 <= channels; c += 8) {
        const offset = <usize>c << 2;
        const low = softplus(f32x4.add(v128.load(delta + offset), v128.load(bias + offset)));
        const high = softplus(f32x4.add(v128.load(delta + offset, 16), v128.load(bias + offset, 16)));
        v128.store(stepSizes + offset, low);
        v128.store(stepSizes + offset, high, 16);
      }
    }
    for (; c < channels; c += 4) {
      const rest = channels - c;
      const offset = <usize>c << 2;
      let d = loadPart(delta + offset, rest);
      if (bias != 0) d = f32x4.add(d, loadPart(bias + offset, rest));
      if (deltaSoftplus) d = softplus(d);
      storePart(stepSizes + offset, d, rest);
    }
    delta += rowStride;
    stepSizes += rowStride;
  }
}

/** Fills the records of `count` steps from `start`, the beginning of a chunk; ddelta holds the step sizes. */
export function prepare(part: BackwardPart, start: i32, count: i32): void {
  const call = part.backward;
  const channels = part.channels;
  const rowStride = call.rowStride;
  const deltaSoftplus = call.deltaSoftplus != 0;
  const inputsAreU = call.discretization != Discretization.EULER;
  const usual = deltaSoftplus && part.z != 0 && !inputsAreU;
  const row = <usize>start * rowStride;
  let u = part.u + row;
  let stepSizes = call.ddelta + part.activationOffset + row;
  let dy = call.dy + part.activationOffset + row;
  let z = part.z == 0 ? <usize>0 : part.z + <usize>start * call.zStride;
  const zero = f32x4.splat(0);
  for (let t = 0; t < count; t++) {
    let c = 0;
    if (usual) {
      for (; c + 8 <= channels; c += 8) {
        const offset = <usize>c << 2;
        const record = place(part, c, t);
        const low = v128.load(stepSizes + offset);
        const high = v128.load(stepSizes + offset, 16);
        const lowSlope = slopeAt(low);
        const highSlope = slopeAt(high);
        v128.store(record, low, Field.STEP_SIZE);
        v128.store(record, high, Field.STEP_SIZE + 16);
        v128.store(record, lowSlope, Field.SLOPE);
        v128.store(record, highSlope, Field.SLOPE + 16);
        const lowInput = f32x4.mul(low, v128.load(u + offset));
        const highInput = f32x4.mul(high, v128.load(u + offset, 16));
        v128.store(record, lowInput, Field.INPUT);
        v128.store(record, highInput, Field.INPUT + 16);
        const lowZ = v128.load(z + offset);
        const highZ = v128.load(z + offset, 16);
        const lowGate = sigmoid(lowZ);
        const highGate = sigmoid(highZ);
        const lowDs = f32x4.mul(v128.load(dy + offset), f32x4.mul(lowZ, lowGate));
        const highDs = f32x4.mul(v128.load(dy + offset, 16), f32x4.mul(highZ, highGate));
        v128.store(record, lowGate, Field.SIGMOID);
        v128.store(record, highGate, Field.SIGMOID + 16);
        v128.store(record, lowDs, Field.DS);
        v128.store(record, highDs, Field.DS + 16);
        v128.store(record, zero, Field.Y);
        v128.store(record, zero, Field.Y + 16);
        v128.store(record, zero, Field.SCALED_DECAY);
        v128.store(record, zero, Field.SCALED_DECAY + 16);
        v128.store(record, zero, Field.ENTERED);
        v128.store(record, zero, Field.ENTERED + 16);
      }
    }
    for (; c < channels; c += 4) {
      const rest = channels - c;
      const offset = <usize>c << 2;
      const record = place(part, c, t);
      const d = loadPart(stepSizes + offset, rest);
      if (deltaSoftplus) v128.store(record, slopeAt(d), Field.SLOPE);
      const input = loadPart(u + offset, rest);
      let ds = loadPart(dy + offset, rest);
      if (z != 0) {
        const gated = loadPart(z + offset, rest);
        const gate = sigmoid(gated);
        v128.store(record, gate, Field.SIGMOID);
        ds = f32x4.mul(ds, f32x4.mul(gated, gate));
      }
      v128.store(record, d, Field.STEP_SIZE);
      v128.store(record, inputsAreU ? input : f32x4.mul(d, input), Field.INPUT);
      v128.store(record, ds, Field.DS);
      v128.store(record, zero, Field.Y);
      v128.store(record, zero, Field.SCALED_DECAY);
      v128.store(record, zero, Field.ENTERED);
    }
    u += rowStride;
    stepSizes += rowStride;
    dy += rowStride;
    if (z != 0) z += call.zStride;
  }
}

/**
 * Writes the gradients of u, delta and z, and adds to those of D and deltaBias, in the order of the steps.
 *
 *     du = ds D + d Σ g B                        (Σ g Bbar where steps are not Euler's)
 *     ddelta = (u Σ g B + Σ g h' ∂Abar/∂d) slope        (the second sum alone, which then has all)
 *     dz = dy (y + D u) sigmoid(z) (1 + z (1 - sigmoid(z)))
 */
export function finish(part: BackwardPart, start: i32, count: i32): void {
  const call = part.backward;
  const channels = part.channels;
  const rowStride = call.rowStride;
  const deltaSoftplus = call.deltaSoftplus != 0;
  const euler = call.discretization == Discretization.EULER;
  const D = part.D;
  const row = <usize>start * rowStride;
  const activations = part.activationOffset + row;
  const one = constant(Constant.ONE);
  const ln2 = constant(Constant.LN2);
  const usual = deltaSoftplus && D != 0 && part.z != 0 && euler;
  let u = part.u + row;
  let dy = call.dy + activations;
  let du = call.du + activations;
  let ddelta = call.ddelta + activations;
  let z = part.z == 0 ? <usize>0 : part.z + <usize>start * call.zStride;
  let dz = call.dz == 0 ? <usize>0 : call.dz + activations;
  for (let t = 0; t < count; t++) {
    let c = 0;
    if (usual) {
      for (; c + 8 <= channels; c += 8) {
        const offset = <usize>c << 2;
        const record = place(part, c, t);
        const lowU = v128.load(u + offset);
        const highU = v128.load(u + offset, 16);
        const lowDs = v128.load(record, Field.DS);
        const highDs = v128.load(record, Field.DS + 16);
        const lowEntered = v128.load(record, Field.ENTERED);
        const highEntered = v128.load(record, Field.ENTERED + 16);
        const lowD = v128.load(D + offset);
        const highD = v128.load(D + offset, 16);
        const lowDu = madd(v128.load(record, Field.STEP_SIZE), lowEntered, f32x4.mul(lowDs, lowD));
        const highDu = madd(v128.load(record, Field.STEP_SIZE + 16), highEntered, f32x4.mul(highDs, highD));
        v128.store(du + offset, lowDu);
        v128.store(du + offset, highDu, 16);
        const lowDd = madd(lowU, lowEntered, f32x4.mul(ln2, v128.load(record, Field.SCALED_DECAY)));
        const highDd = madd(highU, highEntered, f32x4.mul(ln2, v128.load(record, Field.SCALED_DECAY + 16)));
        const lowDelta = f32x4.mul(lowDd, v128.load(record, Field.SLOPE));
        const highDelta = f32x4.mul(highDd, v128.load(record, Field.SLOPE + 16));
        v128.store(ddelta + offset, lowDelta);
        v128.store(ddelta + offset, highDelta, 16);
        const lowSum = madd(lowDs, lowU, v128.load(part.blockDD + offset));
        const highSum = madd(highDs, highU, v128.load(part.blockDD + offset, 16));
        v128.store(part.blockDD + offset, lowSum);
        v128.store(part.blockDD + offset, highSum, 16);
        const lowBias = f32x4.add(v128.load(part.blockDBias + offset), lowDelta);
        const highBias = f32x4.add(v128.load(part.blockDBias + offset, 16), highDelta);
        v128.store(part.blockDBias + offset, lowBias);
        v128.store(part.blockDBias + offset, highBias, 16);
        const lowGate = v128.load(record, Field.SIGMOID);
        const highGate = v128.load(record, Field.SIGMOID + 16);
        const lowY = f32x4.mul(madd(lowD, lowU, v128.load(record, Field.Y)), v128.load(dy + offset));
        const highY = f32x4.mul(madd(highD, highU, v128.load(record, Field.Y + 16)), v128.load(dy + offset, 16));
        const lowBend = madd(v128.load(z + offset), f32x4.sub(one, lowGate), one);
        const highBend = madd(v128.load(z + offset, 16), f32x4.sub(one, highGate), one);
        const lowDz = f32x4.mul(lowY, f32x4.mul(lowGate, lowBend));
        const highDz = f32x4.mul(highY, f32x4.mul(highGate, highBend));
        v128.store(dz + offset, lowDz);
        v128.store(dz + offset, highDz, 16);
      }
    }
    for (; c < channels; c += 4) {
      const rest = channels - c;
      const offset = <usize>c << 2;
      const record = place(part, c, t);
      const input = loadPart(u + offset, rest);
      const ds = v128.load(record, Field.DS);
      const entered = v128.load(record, Field.ENTERED);
      let gradient = euler ? f32x4.mul(v128.load(record, Field.STEP_SIZE), entered) : entered;
      let step = f32x4.mul(ln2, v128.load(record, Field.SCALED_DECAY));
      if (euler) step = madd(input, entered, step);
      if (deltaSoftplus) step = f32x4.mul(step, v128.load(record, Field.SLOPE));
      let y = v128.load(record, Field.Y);
      if (D != 0) {
        gradient = madd(ds, loadPart(D + offset, rest), gradient);
        y = madd(loadPart(D + offset, rest), input, y);
      }
      storePart(du + offset, gradient, rest);
      storePart(ddelta + offset, step, rest);
      const sumD = part.blockDD + offset;
      const sumBias = part.blockDBias + offset;
      v128.store(sumD, madd(ds, input, v128.load(sumD)));
      v128.store(sumBias, f32x4.add(v128.load(sumBias), step));
      if (z != 0) {
        const gate = v128.load(record, Field.SIGMOID);
        const bend = madd(loadPart(z + offset, rest), f32x4.sub(one, gate), one);
        const upper = f32x4.mul(y, loadPart(dy + offset, rest));
        storePart(dz + offset, f32x4.mul(upper, f32x4.mul(gate, bend)), rest);
      }
    }
    u += rowStride;
    dy += rowStride;
    du += rowStride;
    ddelta += rowStride;
    dz += rowStride;
    if (z != 0) z += call.zStride;
  }
}

/**
 * The slope of softplus where its value is d: 1 - exp(-d), whose power of two is kept as its distance from 1 where d is
 * small. @inline
 */
function slopeAt(d: v128): v128 {
  const round = constant(Constant.ROUND_BIASED);
  const one = constant(Constant.ONE);
  const x = f32x4.pmax(f32x4.neg(f32x4.mul(d, constant(Constant.LOG2_E))), constant(Constant.DECAY_MIN));
  const t = f32x4.add(x, round);
  const r = f32x4.sub(x, f32x4.sub(t, round));
  const scale = i32x4.shl(t, 23);
  return f32x4.sub(f32x4.sub(one, scale), f32x4.mul(scale, f32x4.mul(ratioOf(r), r)));
}

/** The record of channels c … c + 3 at a chunk's step t, less the fields' places. @inline */
function place(part: BackwardPart, c: i32, t: i32): usize {
  return part.records + <usize>((c >> 3) * SCAN_CHUNK + t) * RECORD + ((<usize>c & 4) << 2);
}
