/**
 * Depthwise causal convolution of one batch row and a range of channels, with bias, SiLU, state and resets.
 *
 * Channels are the vector. Weights are transposed once to `[width, dim]`, and the state before the first step to
 * `[width - 1, dim]`. Then each step reads `width` rows of x (one from memory, the others from cache) through a list of
 * row addresses: rows before the first step point into the state, and rows before a reset point to zeros. x is read
 * once and y is written once.
 *
 * `lastState` `[dim, width - 1]` holds the state before the first step, and afterwards the state after the last one. A
 * call of one step and four taps (decode) skips the transpositions: see `step4`. A thread's scratch holds weights,
 * history, zeros and row addresses: see `convScratch` in src/operations/causal-conv1d.ts.
 */
import { silu } from '../lib/activations';
import { copy, loadPart, storePart, sums, transposeMatrix } from '../lib/lanes';
import { madd } from '../lib/madd';
import { Flag } from '../program/call';

/** A convolution. Addresses and strides are in bytes, and address 0 means that a tensor is absent. */
@unmanaged
export class ConvCall {
  x: usize;
  xStride: usize;
  weight: usize;
  bias: usize;
  /** Absent means zeros. May be `lastState` itself. */
  initialState: usize;
  lastState: usize;
  resets: usize;
  y: usize;
  yStride: usize;
  length: i32;
  dim: i32;
  width: i32;
  silu: Flag;
  /** Channels of a task. */
  taskChannels: i32;
  /** Scratch of the first thread; the others' follow, `scratchStride` apart. */
  scratch: usize;
  scratchStride: usize;
}

/** Runs a task: a range of channels of one batch row. */
export function convolution(call: ConvCall, task: i32, thread: i32): void {
  const ranges = (call.dim + call.taskChannels - 1) / call.taskChannels;
  const row = <usize>(task / ranges);
  const first = (task % ranges) * call.taskChannels;
  const channels = min(call.taskChannels, call.dim - first);
  const offset = <usize>first << 2;
  const before = (<usize>call.width - 1) << 2;
  const history = row * <usize>call.dim * before + <usize>first * before;
  const bytes = <usize>channels * before;
  if (call.initialState == 0) memory.fill(call.lastState + history, 0, bytes);
  else if (call.initialState != call.lastState)
    memory.copy(call.lastState + history, call.initialState + history, bytes);
  causalConv1d(
    call.x + row * <usize>call.length * call.xStride + offset, call.xStride,
    call.weight + offset * <usize>call.width,
    call.bias == 0 ? <usize>0 : call.bias + offset,
    call.lastState + history,
    call.resets == 0 ? <usize>0 : call.resets + ((row * <usize>call.length) << 2),
    call.y + row * <usize>call.length * call.yStride + offset, call.yStride,
    call.length, channels, call.width, call.silu != 0, call.scratch + <usize>thread * call.scratchStride,
  );
}

function causalConv1d(
  x: usize, xStride: usize, weight: usize, bias: usize, state: usize, resets: usize, y: usize, yStride: usize,
  length: i32, dim: i32, width: i32, activate: bool, scratch: usize,
): void {
  const row = <usize>dim << 2;
  const before = width - 1;
  if (length == 1 && width == 4) {
    if (resets != 0 && load<i32>(resets) != 0) memory.fill(state, 0, 3 * row);
    step4(x, weight, bias, state, y, dim, activate);
    return;
  }
  const taps = scratch;
  const history = taps + <usize>width * row;
  const zeros = history + <usize>before * row;
  const rows = zeros + row;
  transposeMatrix(weight, <usize>width << 2, dim, width, taps, row);
  transposeMatrix(state, <usize>before << 2, dim, before, history, row);
  memory.fill(zeros, 0, row);

  let start = -before; // the first step whose input counts
  for (let t = 0; t < length; t++) {
    if (resets != 0 && load<i32>(resets + (<usize>t << 2)) != 0) start = t;
    for (let k = 0; k < width; k++) {
      store<usize>(rows + (<usize>k << 2), rowAt(t - before + k, start, before, x, xStride, history, zeros, row));
    }
    const out = y + <usize>t * yStride;
    if (width == 4) convolve4(taps, bias, rows, out, dim, activate);
    else convolve(taps, bias, rows, out, dim, width, activate);
  }

  for (let k = 0; k < before; k++) {
    store<usize>(rows + (<usize>k << 2), rowAt(length - before + k, start, before, x, xStride, history, zeros, row));
  }
  // The new state may come from the old one's rows, so it is gathered in the place of the taps, which are no longer
  // needed.
  for (let k = 0; k < before; k++) copy(taps + <usize>k * row, load<usize>(rows + (<usize>k << 2)), row);
  transposeMatrix(taps, row, before, dim, state, <usize>before << 2);
}

/** @inline */
function rowAt(
  t: i32, start: i32, before: i32, x: usize, xStride: usize, history: usize, zeros: usize, row: usize,
): usize {
  if (t < start) return zeros;
  return t < 0 ? history + <usize>(t + before) * row : x + <usize>t * xStride;
}

/** One step of four taps. A channel's three past inputs and the new one are a vector, and so are its taps. */
function step4(x: usize, weight: usize, bias: usize, state: usize, y: usize, dim: i32, activate: bool): void {
  for (let c = 0; c < dim; c += 4) {
    const rest = dim - c;
    let value = sums(
      slide(x, weight, state),
      rest > 1 ? slide(x + 4, weight + 16, state + 12) : f32x4.splat(0),
      rest > 2 ? slide(x + 8, weight + 32, state + 24) : f32x4.splat(0),
      rest > 3 ? slide(x + 12, weight + 48, state + 36) : f32x4.splat(0),
    );
    if (bias != 0) value = f32x4.add(value, loadPart(bias, rest));
    storePart(y, activate ? silu(value) : value, rest);
    x += 16;
    y += 16;
    bias += bias != 0 ? 16 : 0;
    weight += 64;
    state += 48;
  }
}

/** The products of a channel's taps and inputs; moves its state on by one step. @inline */
function slide(x: usize, weight: usize, state: usize): v128 {
  const past = v128.load32_lane(state, v128.load64_zero(state), 2, 8);
  const inputs = v128.load32_lane(x, past, 3);
  v128.store64_lane(state, v128.shuffle<f32>(inputs, inputs, 1, 2, 2, 3), 0);
  v128.store32_lane(state, inputs, 3, 8);
  return f32x4.mul(inputs, v128.load(weight));
}

function convolve4(taps: usize, bias: usize, rows: usize, y: usize, dim: i32, activate: bool): void {
  const row = <usize>dim << 2;
  const x0 = load<usize>(rows);
  const x1 = load<usize>(rows, 4);
  const x2 = load<usize>(rows, 8);
  const x3 = load<usize>(rows, 12);
  const taps1 = taps + row;
  const taps2 = taps1 + row;
  const taps3 = taps2 + row;
  let c = 0;
  // The usual call takes two neighbouring vectors, alike to the last instruction and without a branch or store between
  // them, of which V8's revectorisation makes one.
  if (bias != 0 && activate) {
    for (; c + 8 <= dim; c += 8) {
      const o = <usize>c << 2;
      let low = madd(v128.load(taps + o), v128.load(x0 + o), v128.load(bias + o));
      let high = madd(v128.load(taps + o, 16), v128.load(x0 + o, 16), v128.load(bias + o, 16));
      low = madd(v128.load(taps1 + o), v128.load(x1 + o), low);
      high = madd(v128.load(taps1 + o, 16), v128.load(x1 + o, 16), high);
      low = madd(v128.load(taps2 + o), v128.load(x2 + o), low);
      high = madd(v128.load(taps2 + o, 16), v128.load(x2 + o, 16), high);
      low = madd(v128.load(taps3 + o), v128.load(x3 + o), low);
      high = madd(v128.load(taps3 + o, 16), v128.load(x3 + o, 16), high);
      low = silu(low);
      high = silu(high);
      v128.store(y + o, low);
      v128.store(y + o, high, 16);
    }
  }
  for (; c < dim; c += 4) {
    const rest = dim - c;
    const o = <usize>c << 2;
    let value = bias != 0 ? loadPart(bias + o, rest) : f32x4.splat(0);
    value = madd(loadPart(taps + o, rest), loadPart(x0 + o, rest), value);
    value = madd(loadPart(taps1 + o, rest), loadPart(x1 + o, rest), value);
    value = madd(loadPart(taps2 + o, rest), loadPart(x2 + o, rest), value);
    value = madd(loadPart(taps3 + o, rest), loadPart(x3 + o, rest), value);
    storePart(y + o, activate ? silu(value) : value, rest);
  }
}

function convolve(taps: usize, bias: usize, rows: usize, y: usize, dim: i32, width: i32, activate: bool): void {
  const row = <usize>dim << 2;
  for (let c = 0; c < dim; c += 4) {
    const rest = dim - c;
    const o = <usize>c << 2;
    let value = bias != 0 ? loadPart(bias + o, rest) : f32x4.splat(0);
    for (let k = 0; k < width; k++) {
      const input = load<usize>(rows + (<usize>k << 2)) + o;
      value = madd(loadPart(taps + <usize>k * row + o, rest), loadPart(input, rest), value);
    }
    storePart(y + o, activate ? silu(value) : value, rest);
  }
}
