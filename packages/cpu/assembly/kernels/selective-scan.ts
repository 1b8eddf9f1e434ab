/**
 * Selective scan, in chunks of one batch row and a range of channels of one group. Each eight channels are computed alike in whatever chunk they are, so any
 * number of threads gives the same bits.
 *
 * Channels are the vector, eight at a time; A, and the state, are transposed once to blocks `[state, 8]`, so B and C are broadcasts, there are
 * no horizontal sums, and any number of states is exact. Time runs in chunks of `chunk` steps, three passes each:
 *   1. prepare: d = softplus(delta + bias) and d u into blocks `[chunk, 8]`; rows of delta and u are read in order;
 *   2. scan: for each block, two states of eight channels in four v128 locals over all steps of the chunk; y accumulates in `[chunk, 8]`;
 *   3. finish: y = (y + D u) silu(z); rows of z are read, and of y written, in order.
 * So u, delta, z are read from memory once and y written once; the blocks stay in the second-level cache (see `STEPS` in
 * src/operations/selective-scan.ts); nothing of size `[length, dim, state]` exists.
 *
 * The decay is 2^x with x = d (A log2 e). With n the nearest integer and r = x - n it is never rounded to one float:
 *     h' = s h + (s h (2^r - 1) + d u B)      s = 2^n
 * which keeps decays very close to 1 exact (a rounded exp(dA) would drift by up to 3e-8 a step). 2^r - 1 is a
 * polynomial of degree 5: relative error of 2^x below 1.6e-7 for the x it is given; d A rounds as floats do (1.2e-7 of
 * |x|), below 1e-7 of the state in all. 2^x is 0 below x = -126.5. Where decays are near 1 the rounding of the state
 * itself is carried along too, from chunk to chunk; a single step, and a state that leaves, are rounded to float32.
 * That fast path (selective-scan-decay.ts) takes Euler steps with d A ≤ 0, which is what models have; all else (growing
 * systems, zoh, bilinear, constant B or C) takes `general`. So does a block again whose state is no longer finite after
 * the fast path: an infinite state times a decay is infinite, but not in the form above. A single step (decode) skips
 * the blocks: see `step`.
 *
 * `state` [channels, states] holds the initial state, and the last one afterwards. Scratch: A, state, its rest,
 * constant B, constant C as blocks, then three chunk buffers, and a block of state with room for eight vectors behind
 * it; see `scanScratch` there.
 */
import { silu, softplus } from '../lib/activations';
import { Constant, constant } from '../lib/constants';
import { loadPart, storePart, sum, sums, transposeMatrix } from '../lib/lanes';
import { madd } from '../lib/madd';
import { Flag } from '../program/call';
import { advance, power, powerRatio } from '../lib/power';
import { decay } from './selective-scan-decay';

/** How the continuous system becomes a recurrence. */
export const enum Discretization {
  EULER,
  ZOH,
  BILINEAR,
}

/** A selective scan. Addresses and strides are in bytes, and address 0 means that a tensor is absent. */
@unmanaged
export class ScanCall {
  u: usize;
  delta: usize;
  A: usize;
  B: usize;
  C: usize;
  D: usize;
  z: usize;
  deltaBias: usize;
  resets: usize;
  /** Absent means zeros. May be `lastState` itself. */
  initialState: usize;
  lastState: usize;
  /** May be u or delta itself. */
  y: usize;
  /** From one step to the next: of u, delta and y. */
  rowStride: usize;
  zStride: usize;
  /** From one step to the next: of B and C. */
  stepStride: usize;
  length: i32;
  dim: i32;
  /** States of a channel. */
  state: i32;
  groups: i32;
  deltaSoftplus: Flag;
  discretization: Discretization;
  constantB: Flag;
  constantC: Flag;
  /** Steps of a time tile: so many are held in scratch at once. */
  tileSteps: i32;
  /** Channels of a task. */
  taskChannels: i32;
  /** Scratch of the first thread; the others' follow, `scratchStride` apart. */
  scratch: usize;
  scratchStride: usize;
}

export function scan(call: ScanCall, chunk: i32, thread: i32): void {
  const channels = call.dim / call.groups;
  const blocks = (channels + call.taskChannels - 1) / call.taskChannels;
  const row = <usize>(chunk / (blocks * call.groups));
  const group = (chunk / blocks) % call.groups;
  const inside = (chunk % blocks) * call.taskChannels;
  const count = min(call.taskChannels, channels - inside);
  const first = <usize>(group * channels + inside) << 2;
  const states = <usize>call.state;
  const parameters = first * states;
  const rows = row * <usize>call.length;
  const activations = rows * call.rowStride + first;
  const selective = rows * call.stepStride + ((<usize>group * states) << 2);
  const state = call.lastState + ((row * <usize>call.dim * states) << 2) + parameters;
  const bytes = (<usize>count * states) << 2;
  if (call.initialState == 0) memory.fill(state, 0, bytes);
  else if (call.initialState != call.lastState) memory.copy(state, call.initialState + (state - call.lastState), bytes);
  selectiveScan(
    call.u + activations,
    call.delta + activations,
    call.A + parameters,
    call.B + (call.constantB ? parameters : selective),
    call.C + (call.constantC ? parameters : selective),
    call.D == 0 ? <usize>0 : call.D + first,
    call.z == 0 ? <usize>0 : call.z + rows * call.zStride + first,
    call.deltaBias == 0 ? <usize>0 : call.deltaBias + first,
    call.resets == 0 ? <usize>0 : call.resets + (rows << 2),
    state,
    call.y + activations,
    call.rowStride, call.zStride, call.stepStride, call.length, count, call.state, call.deltaSoftplus != 0,
    call.discretization, call.constantB != 0, call.constantC != 0, call.tileSteps,
    call.scratch + <usize>thread * call.scratchStride,
  );
}

/**
 * u, delta, z, y point at the first channel of the first step, `rowStride` (z: `zStride`) to the next step. B and C point at the group's first step,
 * `stepStride` to the next; constant B and C point at the first channel's row. 0 stands for an absent D, z, deltaBias, resets.
 */
function selectiveScan(
  u: usize, delta: usize, A: usize, B: usize, C: usize, D: usize, z: usize, deltaBias: usize, resets: usize,
  state: usize, y: usize, rowStride: usize, zStride: usize, stepStride: usize, length: i32, channels: i32, states: i32,
  deltaSoftplus: bool, discretization: i32, constantB: bool, constantC: bool, chunk: i32, scratch: usize,
): void {
  const blocks = (channels + 7) >> 3;
  const parameter = (<usize>blocks * <usize>states) << 5;
  const buffer = (<usize>blocks * <usize>chunk) << 5;
  const packedA = scratch;
  const packedState = packedA + parameter;
  const packedRest = packedState + parameter;
  const packedB = packedRest + parameter;
  const packedC = packedB + (constantB ? parameter : 0);
  const steps = packedC + (constantC ? parameter : 0);
  const inputs = steps + buffer;
  const results = inputs + buffer;
  const saved = results + buffer;

  if (length == 1 && discretization == Discretization.EULER && !constantB && !constantC) {
    if (isReset(resets, 0)) memory.fill(state, 0, (<usize>channels * <usize>states) << 2);
    prepare(u, delta, deltaBias, rowStride, 1, channels, 1, deltaSoftplus, false, steps, inputs);
    step(A, state, steps, inputs, results, B, C, channels, states, saved);
    finish(u, z, D, y, rowStride, zStride, 1, channels, 1, results);
    return;
  }
  toBlocks(A, channels, states, packedA);
  toBlocks(state, channels, states, packedState);
  memory.fill(packedRest, 0, parameter);
  if (constantB) toBlocks(B, channels, states, packedB);
  if (constantC) toBlocks(C, channels, states, packedC);
  if (discretization != Discretization.BILINEAR) scale(packedA, parameter);
  const decaying = discretization == Discretization.EULER && !constantB && !constantC && !anyPositive(packedA, parameter);
  memory.fill(steps, 0, buffer << 1);

  for (let start = 0; start < length; start += chunk) {
    const count = min(chunk, length - start);
    const offset = <usize>start * rowStride;
    prepare(
      u + offset, delta + offset, deltaBias, rowStride, count, channels, chunk, deltaSoftplus, discretization == Discretization.ZOH,
      steps, inputs,
    );
    memory.fill(results, 0, buffer);
    for (let from = 0; from < count; ) {
      if (isReset(resets, start + from)) memory.fill(packedState, 0, parameter << 1);
      let to = from + 1;
      while (to < count && !isReset(resets, start + to)) to++;
      const rowB = B + <usize>(start + from) * stepStride;
      const rowC = C + <usize>(start + from) * stepStride;
      for (let block = 0; block < blocks; block++) {
        const at = (<usize>block * <usize>states) << 5;
        const first = (<usize>block * <usize>chunk + <usize>from) << 5;
        let done: bool = false;
        if (decaying && (deltaSoftplus || !anyNegative(steps + first, to - from))) {
          const bytes = <usize>states << 5;
          memory.copy(saved, packedState + at, bytes);
          decay(
            packedA + at, packedState + at, packedRest + at, steps + first, inputs + first, results + first, rowB, rowC,
            stepStride, to - from, states,
          );
          done = allFinite(packedState + at, bytes);
          if (!done) {
            memory.copy(packedState + at, saved, bytes);
            memory.fill(packedRest + at, 0, bytes);
            memory.fill(results + first, 0, <usize>(to - from) << 5);
          }
        }
        if (!done) {
          const b = constantB ? packedB + at : rowB;
          const c = constantC ? packedC + at : rowC;
          for (let half: usize = 0; half < 32; half += 16) {
            general(
              packedA + at + half, packedState + at + half, packedRest + at + half, steps + first + half,
              inputs + first + half, results + first + half, constantB ? b + half : b, constantC ? c + half : c,
              stepStride, to - from, states, discretization, constantB, constantC,
            );
          }
        }
      }
      from = to;
    }
    finish(
      u + offset, z == 0 ? <usize>0 : z + <usize>start * zStride, D, y + offset, rowStride, zStride, count, channels, chunk,
      results,
    );
  }
  fromBlocks(packedState, channels, states, state);
}

/** @inline */
function isReset(resets: usize, step: i32): bool {
  return resets != 0 && load<i32>(resets + (<usize>step << 2)) != 0;
}

/** `[channels, states]` → blocks `[states, 8]`, zeros in channels that do not exist. */
function toBlocks(from: usize, channels: i32, states: i32, to: usize): void {
  const row = <usize>states << 2;
  for (let channel = 0; channel < channels; channel += 8) {
    const count = min(8, channels - channel);
    if (count < 8) memory.fill(to, 0, row << 3);
    transposeMatrix(from, row, count, states, to, 32);
    from += row << 3;
    to += row << 3;
  }
}

function fromBlocks(from: usize, channels: i32, states: i32, to: usize): void {
  const row = <usize>states << 2;
  for (let channel = 0; channel < channels; channel += 8) {
    transposeMatrix(from, 32, states, min(8, channels - channel), to, row);
    from += row << 3;
    to += row << 3;
  }
}

/** To powers of two. */
function scale(values: usize, bytes: usize): void {
  const factor = constant(Constant.LOG2_E);
  for (const end = values + bytes; values < end; values += 16) v128.store(values, f32x4.mul(v128.load(values), factor));
}

function anyPositive(values: usize, bytes: usize): bool {
  let found = f32x4.splat(0);
  for (const end = values + bytes; values < end; values += 16) {
    found = v128.or(found, f32x4.gt(v128.load(values), f32x4.splat(0)));
  }
  return v128.any_true(found);
}

function allFinite(values: usize, bytes: usize): bool {
  let none = f32x4.splat(0);
  for (const end = values + bytes; values < end; values += 16) {
    const value = v128.load(values);
    none = f32x4.add(none, f32x4.sub(value, value));
  }
  return i32x4.all_true(f32x4.eq(none, none));
}

/** Of steps of a block. */
function anyNegative(steps: usize, count: i32): bool {
  let found = f32x4.splat(0);
  for (const end = steps + (<usize>count << 5); steps < end; steps += 16) {
    found = v128.or(found, f32x4.lt(v128.load(steps), f32x4.splat(0)));
  }
  return v128.any_true(found);
}

/**
 * Pass 1. With `plain` the inputs are u, else d u. Here and in `finish` the usual call takes eight channels as two
 * neighbouring vectors, alike to the last instruction, no branch or store between them, which V8's revectorisation makes one.
 */
function prepare(
  u: usize, delta: usize, bias: usize, rowStride: usize, count: i32, channels: i32, chunk: i32,
  deltaSoftplus: bool, plain: bool, steps: usize, inputs: usize,
): void {
  const usual = deltaSoftplus && bias != 0 && !plain;
  for (let t = 0; t < count; t++) {
    let c = 0;
    if (usual) {
      for (; c + 8 <= channels; c += 8) {
        const offset = <usize>c << 2;
        const place = inBlocks(c, t, chunk);
        const low = softplus(f32x4.add(v128.load(delta + offset), v128.load(bias + offset)));
        const high = softplus(f32x4.add(v128.load(delta + offset, 16), v128.load(bias + offset, 16)));
        const lowInput = f32x4.mul(low, v128.load(u + offset));
        const highInput = f32x4.mul(high, v128.load(u + offset, 16));
        v128.store(steps + place, low);
        v128.store(steps + place, high, 16);
        v128.store(inputs + place, lowInput);
        v128.store(inputs + place, highInput, 16);
      }
    }
    for (; c < channels; c += 4) {
      const rest = channels - c;
      const offset = <usize>c << 2;
      let d = loadPart(delta + offset, rest);
      if (bias != 0) d = f32x4.add(d, loadPart(bias + offset, rest));
      if (deltaSoftplus) d = softplus(d);
      const input = loadPart(u + offset, rest);
      const place = inBlocks(c, t, chunk);
      v128.store(steps + place, d);
      v128.store(inputs + place, plain ? input : f32x4.mul(d, input));
    }
    u += rowStride;
    delta += rowStride;
  }
}

/** Pass 3. */
function finish(
  u: usize, z: usize, D: usize, y: usize, rowStride: usize, zStride: usize, count: i32, channels: i32, chunk: i32,
  results: usize,
): void {
  const usual = D != 0 && z != 0;
  for (let t = 0; t < count; t++) {
    let c = 0;
    if (usual) {
      for (; c + 8 <= channels; c += 8) {
        const offset = <usize>c << 2;
        const place = inBlocks(c, t, chunk);
        const low = madd(v128.load(D + offset), v128.load(u + offset), v128.load(results + place));
        const high = madd(v128.load(D + offset, 16), v128.load(u + offset, 16), v128.load(results + place, 16));
        const lowGated = f32x4.mul(low, silu(v128.load(z + offset)));
        const highGated = f32x4.mul(high, silu(v128.load(z + offset, 16)));
        v128.store(y + offset, lowGated);
        v128.store(y + offset, highGated, 16);
      }
    }
    for (; c < channels; c += 4) {
      const rest = channels - c;
      const offset = <usize>c << 2;
      let value = v128.load(results + inBlocks(c, t, chunk));
      if (D != 0) value = madd(loadPart(D + offset, rest), loadPart(u + offset, rest), value);
      if (z != 0) value = f32x4.mul(value, silu(loadPart(z + offset, rest)));
      storePart(y + offset, value, rest);
    }
    u += rowStride;
    y += rowStride;
    if (z != 0) z += zStride;
  }
}

/** Where channels c … c + 3 of step t are in blocks `[chunk, 8]`. @inline */
function inBlocks(c: i32, t: i32, chunk: i32): usize {
  return ((<usize>(c >> 3) * <usize>chunk + <usize>t) << 5) + ((<usize>c & 4) << 2);
}

/** Keeps 2^x within what two halves of n can form; infinities stay on their side, NaN stays. @inline */
function boundedPower(x: v128): v128 {
  return f32x4.pmin(f32x4.pmax(x, constant(Constant.GROWTH_MIN)), constant(Constant.GROWTH_MAX));
}

/** @inline */
function ratioOf(r: v128): v128 {
  return powerRatio(
    r,
    constant(Constant.P1),
    constant(Constant.P2),
    constant(Constant.P3),
    constant(Constant.P4),
    constant(Constant.P5),
  );
}

/** 2^n (1 + power), n in two halves so that it overflows and vanishes as IEEE says. @inline */
function powerOfTwo(power: v128, n: v128): v128 {
  const one = constant(Constant.ONE);
  const half = i32x4.shr_s(n, 1);
  return f32x4.mul(
    f32x4.mul(f32x4.add(one, power), i32x4.add(i32x4.shl(half, 23), one)),
    i32x4.add(i32x4.shl(i32x4.sub(n, half), 23), one),
  );
}

/**
 * Pass 2 of a single step (decode), where transposing A and the state would cost more than the step: states are the vector; A and the
 * state are read, and the state written, once. Four channels go the fast way, their states are kept in `kept` meanwhile: where y is not finite
 * (no state can be else: infinity times C is not finite) or a decay was growing, all four are done again the careful way.
 */
function step(
  A: usize, state: usize, steps: usize, inputs: usize, results: usize, B: usize, C: usize, channels: i32, states: i32,
  kept: usize,
): void {
  const row = <usize>states << 2;
  const partial = kept + (row << 2);
  for (let channel = 0; channel < channels; channel += 4) {
    const count = min(4, channels - channel);
    if (states & 3 || !fastStep(A, state, steps, inputs, results, B, C, count, row, kept, partial)) {
      for (let lane: usize = 0; lane < <usize>count; lane++) {
        const place = lane << 2;
        const y = carefulStep(
          A + lane * row, state + lane * row, v128.load32_splat(steps + place), v128.load32_splat(inputs + place), B, C, states,
        );
        store<f32>(results + place, y);
      }
    }
    A += row << 2;
    state += row << 2;
    steps += 16;
    inputs += 16;
    results += 16;
  }
}

/**
 * Up to four channels whose states are a multiple of four. False where that was not right; the state is as before then. Two neighbouring vectors are alike to
 * the last instruction, as V8's revectorisation wants them; it also wants their sums stored side by side, in `partial`.
 */
function fastStep(
  A: usize, state: usize, steps: usize, inputs: usize, results: usize, B: usize, C: usize, channels: i32, row: usize,
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
      const d = v128.load32_splat(steps + (lane << 2));
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
        const before0 = v128.load(state + at);
        const before1 = v128.load(state + at, 16);
        const h0 = advance(f32x4.mul(before0, i32x4.shl(t0, 23)), q0, f32x4.mul(v, v128.load(B + o)));
        const h1 = advance(f32x4.mul(before1, i32x4.shl(t1, 23)), q1, f32x4.mul(v, v128.load(B + o, 16)));
        y0 = madd(h0, v128.load(C + o), y0);
        y1 = madd(h1, v128.load(C + o, 16), y1);
        v128.store(kept + at, before0);
        v128.store(kept + at, before1, 16);
        v128.store(state + at, h0);
        v128.store(state + at, h1, 16);
      }
      if (o < row) {
        const at = first + o;
        const x = f32x4.mul(d, f32x4.mul(v128.load(A + at), log2e));
        most = f32x4.pmax(most, x);
        const low = f32x4.pmax(x, lowest);
        const t = f32x4.add(low, round);
        const q = power(f32x4.sub(low, f32x4.sub(t, round)), p1, p2, p3, p4, p5);
        const before = v128.load(state + at);
        const h = advance(f32x4.mul(before, i32x4.shl(t, 23)), q, f32x4.mul(v, v128.load(B + o)));
        y0 = madd(h, v128.load(C + o), y0);
        v128.store(kept + at, before);
        v128.store(state + at, h);
      }
    }
    v128.store(partial + (lane << 5), y0);
    v128.store(partial + (lane << 5), y1, 16);
  }
  const y = sums(total(partial), total(partial + 32), total(partial + 64), total(partial + 96));
  const odd = v128.or(f32x4.gt(most, f32x4.splat(0)), f32x4.ne(f32x4.sub(y, y), f32x4.splat(0)));
  if (v128.any_true(odd)) {
    memory.copy(state, kept, <usize>channels * row);
    return false;
  }
  storePart(results, y, channels);
  return true;
}

/** @inline */
function total(pair: usize): v128 {
  return f32x4.add(v128.load(pair), v128.load(pair, 16));
}

/** A step of one channel, whatever the sign and size of its decays, any number of states. Gives y. */
function carefulStep(A: usize, state: usize, d: v128, v: v128, B: usize, C: usize, states: i32): f32 {
  const log2e = constant(Constant.LOG2_E);
  const round = constant(Constant.ROUND);
  let y = f32x4.splat(0);
  for (let n = 0; n < states; n += 4) {
    const rest = states - n;
    const o = <usize>n << 2;
    const h = loadPart(state + o, rest);
    const bounded = boundedPower(f32x4.mul(d, f32x4.mul(loadPart(A + o, rest), log2e)));
    const shifted = f32x4.add(bounded, round);
    const r = f32x4.sub(bounded, f32x4.sub(shifted, round));
    const power = f32x4.mul(ratioOf(r), r);
    const exponent = i32x4.sub(shifted, round);
    const added = f32x4.mul(v, loadPart(B + o, rest));
    const near = v128.and(i32x4.eq(exponent, i32x4.splat(0)), f32x4.lt(f32x4.abs(h), f32x4.splat(Infinity)));
    const next = v128.bitselect(
      f32x4.add(h, f32x4.add(f32x4.mul(power, h), added)),
      f32x4.add(f32x4.mul(powerOfTwo(power, exponent), h), added),
      near,
    );
    storePart(state + o, next, rest);
    y = f32x4.add(y, f32x4.mul(loadPart(C + o, rest), rest >= 4 ? next : loadPart(state + o, rest)));
  }
  return sum(y);
}

/**
 * Pass 2 for four channels, every other case: state by state. Constant B and C come as blocks. What rounding takes from
 * a state with a decay near 1 is added again a step later (`rest`, `left`), for roundings of equal steps all go one
 * way; exact where the change is the smaller. Decays within 2^±1/2 keep their distance from 1 (`near`), others are
 * formed as 2^n 2^r. zoh: expm1(dA) / A is d (2^r - 1) / r near 1, the polynomial itself, so nothing is divided by an A
 * that is 0 or subnormal. bilinear: Abar - 1 = x / (1 - x / 2).
 */
function general(
  A: usize, state: usize, rest: usize, steps: usize, inputs: usize, results: usize, B: usize, C: usize,
  stepStride: usize, count: i32, states: i32, discretization: i32, constantB: bool, constantC: bool,
): void {
  const one = constant(Constant.ONE);
  const strideB = constantB ? <usize>0 : stepStride;
  const strideC = constantC ? <usize>0 : stepStride;
  const end = results + (<usize>count << 5);
  for (let n = 0; n < states; n++) {
    const An = v128.load(A);
    let h = v128.load(state);
    let left = v128.load(rest);
    let b = B;
    let c = C;
    let d = steps;
    let v = inputs;
    for (let y = results; y < end; y += 32) {
      const Bn = constantB ? v128.load(b) : v128.load32_splat(b);
      const Cn = constantC ? v128.load(c) : v128.load32_splat(c);
      const step = v128.load(d);
      const input = f32x4.mul(v128.load(v), Bn);
      const x = f32x4.mul(step, An);
      const finite = f32x4.lt(f32x4.abs(h), f32x4.splat(Infinity));
      if (discretization == Discretization.BILINEAR) {
        const half = f32x4.mul(x, constant(Constant.HALF));
        const divisor = f32x4.sub(one, half);
        const near = v128.and(f32x4.le(f32x4.abs(x), constant(Constant.HALF)), finite);
        const change = f32x4.add(f32x4.div(f32x4.add(f32x4.mul(x, h), input), divisor), v128.and(left, near));
        const next = v128.bitselect(
          f32x4.add(h, change),
          f32x4.add(f32x4.mul(f32x4.div(f32x4.add(one, half), divisor), h), f32x4.div(input, divisor)),
          finite,
        );
        left = v128.and(f32x4.sub(change, f32x4.sub(next, h)), near);
        h = next;
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
        const change = f32x4.add(f32x4.add(f32x4.mul(power, h), added), left);
        const next = v128.bitselect(f32x4.add(h, change), f32x4.add(f32x4.mul(decay, h), added), near);
        left = v128.and(f32x4.sub(change, f32x4.sub(next, h)), near);
        h = next;
      }
      v128.store(y, madd(Cn, h, v128.load(y)));
      d += 32;
      v += 32;
      b += strideB;
      c += strideC;
    }
    v128.store(state, h);
    v128.store(rest, left);
    A += 32;
    state += 32;
    rest += 32;
    B += constantB ? 32 : 4;
    C += constantC ? 32 : 4;
  }
}
