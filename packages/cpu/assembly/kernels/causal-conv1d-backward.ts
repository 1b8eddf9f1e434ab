/**
 * The backward of the depthwise causal convolution, for one batch row and a range of channels. With s the convolution
 * before its activation:
 *
 *     ds_t = dy_t activation'(s_t)                 dbias = Σ ds_t
 *     dweight_k = Σ ds_t x_(t - (width - 1) + k)
 *     dx_i = Σ ds_t weight_(i - t + width - 1), plus the gradient of lastState where it holds x_i
 *
 * Channels are the vector. Steps go forward; ds of the last `width` steps is kept, and after step t the gradient of x
 * at t - (width - 1) is complete. Rows before a reset are zeros to the steps after it, as ds after a reset is to the
 * rows before it. x, dy and dx pass through memory once.
 *
 * A thread's scratch holds taps and their gradients `[width, channels]`, the ring of ds `[width, channels]`, the state
 * before the first step and its gradient `[width - 1, channels]`, rows of zeros and of dbias, and row addresses.
 */
import { sigmoid, siluSlope } from '../lib/activations';
import { loadPart, storePart, transposeMatrix } from '../lib/lanes';
import { madd } from '../lib/madd';
import { Flag } from '../program/call';

/**
 * The backward of a convolution. Addresses are in bytes, and address 0 means that a tensor is absent. Rows of x, dy and
 * dx are contiguous. dWeight and dBias are partial sums of each batch row, one behind the other.
 */
@unmanaged
export class ConvBackwardCall {
  x: usize;
  weight: usize;
  bias: usize;
  initialState: usize;
  resets: usize;
  dy: usize;
  dLastState: usize;
  dx: usize;
  dWeight: usize;
  dBias: usize;
  dInitialState: usize;
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
export function convolutionBackward(call: ConvBackwardCall, task: i32, thread: i32): void {
  const ranges = (call.dim + call.taskChannels - 1) / call.taskChannels;
  const batchRow = <usize>(task / ranges);
  const first = (task % ranges) * call.taskChannels;
  const channels = min(call.taskChannels, call.dim - first);
  const length = call.length;
  const width = call.width;
  const before = width - 1;
  const row = <usize>channels << 2;
  const rowStride = <usize>call.dim << 2;
  const offset = <usize>first << 2;
  const start = batchRow * <usize>length * rowStride + offset;
  const history = (batchRow * rowStride + offset) * <usize>before;
  const x = call.x + start;
  const dy = call.dy + start;
  const dx = call.dx + start;
  const resets = call.resets == 0 ? <usize>0 : call.resets + ((batchRow * <usize>length) << 2);
  const taps = call.scratch + <usize>thread * call.scratchStride;
  const dTaps = taps + <usize>width * row;
  const ring = dTaps + <usize>width * row;
  const past = ring + <usize>width * row;
  const dPast = past + <usize>before * row;
  const zeros = dPast + <usize>before * row;
  const dBias = zeros + row;
  const rows = dBias + row;
  const bias = call.bias == 0 ? zeros : call.bias + offset;
  transposeMatrix(call.weight + offset * <usize>width, <usize>width << 2, channels, width, taps, row);
  memory.fill(dTaps, 0, rows - dTaps);
  const columns = <usize>before << 2;
  if (call.initialState != 0) transposeMatrix(call.initialState + history, columns, channels, before, past, row);

  let begin = -before; // the first step whose input counts
  for (let t = 0; t < length + before; t++) {
    if (t < length) {
      if (resets != 0 && load<i32>(resets + (<usize>t << 2)) != 0) begin = t;
      for (let k = 0; k < width; k++) {
        const from = t - before + k;
        let address = zeros;
        if (from >= begin) address = from < 0 ? past + <usize>(from + before) * row : x + <usize>from * rowStride;
        store<usize>(rows + (<usize>k << 2), address);
      }
      const ds = ring + <usize>(t % width) * row;
      const cotangents = dy + <usize>t * rowStride;
      if (width == 4 && channels >= 8 && t >= 3 && !parted(resets, t - 2, t)) {
        const target = dx + <usize>(t - 3) * rowStride;
        usualStep(call.silu != 0, taps, bias, rows, cotangents, ring, t, target, dTaps, dBias, channels);
        continue;
      }
      cotangent(call.silu != 0, taps, bias, rows, cotangents, ds, dTaps, dBias, 0, channels, width);
    }
    // The gradient of x at this step is complete, or that of the state before the first step.
    const complete = t - before;
    for (let j = 0; j < width; j++) {
      const step = complete + j;
      const counts = step >= 0 && step < length && !parted(resets, max(complete, -1) + 1, step);
      store<usize>(rows + (<usize>j << 2), counts ? ring + <usize>(step % width) * row : zeros);
    }
    const target = complete < 0 ? dPast + <usize>(complete + before) * row : dx + <usize>complete * rowStride;
    gather(taps, rows, target, 0, channels, width);
  }

  if (call.dLastState != 0) addLast(call.dLastState + history, dx, dPast, begin, length, rowStride, channels, before);
  const parameters = batchRow * rowStride + offset;
  transposeMatrix(dTaps, row, width, channels, call.dWeight + parameters * <usize>width, <usize>width << 2);
  if (call.dBias != 0) memory.copy(call.dBias + parameters, dBias, row);
  if (call.dInitialState != 0) transposeMatrix(dPast, row, before, channels, call.dInitialState + history, columns);
}

/** Whether a reset is at one of the steps from `first` to `last`. */
function parted(resets: usize, first: i32, last: i32): bool {
  if (resets == 0) return false;
  for (let t = first; t <= last; t++) if (load<i32>(resets + (<usize>t << 2)) != 0) return true;
  return false;
}

/**
 * A step of four taps whose rows all count, and the gradient of x three steps before, in one pass. Two neighbouring
 * vectors are alike to the last instruction, as V8's revectorisation wants.
 */
function usualStep(
  silu: bool, taps: usize, bias: usize, rows: usize, dy: usize, ring: usize, t: i32, dx: usize, dTaps: usize,
  dBias: usize, channels: i32,
): void {
  const row = <usize>channels << 2;
  const ds = ring + <usize>(t & 3) * row;
  if (silu) siluTaps(taps, bias, rows, dy, ring, t, dx, dTaps, dBias, row);
  else plainTaps(taps, bias, rows, dy, ring, t, dx, dTaps, dBias, row);
  const rest = channels & ~7;
  if (rest == channels) return;
  cotangent(silu, taps, bias, rows, dy, ds, dTaps, dBias, rest, channels, 4);
  for (let j = 0; j < 4; j++) store<usize>(rows + (<usize>j << 2), ring + <usize>((t - 3 + j) & 3) * row);
  gather(taps, rows, dx, rest, channels, 4);
}

// Functions of their own, since the compiler makes one of two branches that differ in a constant alone.

function siluTaps(
  taps: usize, bias: usize, rows: usize, dy: usize, ring: usize, t: i32, dx: usize, dTaps: usize, dBias: usize,
  row: usize,
): void {
  fourTaps(true, taps, bias, rows, dy, ring, t, dx, dTaps, dBias, row);
}

function plainTaps(
  taps: usize, bias: usize, rows: usize, dy: usize, ring: usize, t: i32, dx: usize, dTaps: usize, dBias: usize,
  row: usize,
): void {
  fourTaps(false, taps, bias, rows, dy, ring, t, dx, dTaps, dBias, row);
}

/** Whole blocks of eight channels. @inline */
function fourTaps(
  silu: bool, taps: usize, bias: usize, rows: usize, dy: usize, ring: usize, t: i32, dx: usize, dTaps: usize,
  dBias: usize, row: usize,
): void {
  const x0 = load<usize>(rows);
  const x1 = load<usize>(rows, 4);
  const x2 = load<usize>(rows, 8);
  const x3 = load<usize>(rows, 12);
  const ds0 = ring + <usize>((t - 3) & 3) * row;
  const ds1 = ring + <usize>((t - 2) & 3) * row;
  const ds2 = ring + <usize>((t - 1) & 3) * row;
  const ds3 = ring + <usize>(t & 3) * row;
  const taps1 = taps + row;
  const taps2 = taps1 + row;
  const taps3 = taps2 + row;
  const dTaps1 = dTaps + row;
  const dTaps2 = dTaps1 + row;
  const dTaps3 = dTaps2 + row;
  for (let o: usize = 0; o + 32 <= row; o += 32) {
    let low = v128.load(dy + o);
    let high = v128.load(dy + o, 16);
    if (silu) {
      let s0 = madd(v128.load(taps + o), v128.load(x0 + o), v128.load(bias + o));
      let s1 = madd(v128.load(taps + o, 16), v128.load(x0 + o, 16), v128.load(bias + o, 16));
      s0 = madd(v128.load(taps1 + o), v128.load(x1 + o), s0);
      s1 = madd(v128.load(taps1 + o, 16), v128.load(x1 + o, 16), s1);
      s0 = madd(v128.load(taps2 + o), v128.load(x2 + o), s0);
      s1 = madd(v128.load(taps2 + o, 16), v128.load(x2 + o, 16), s1);
      s0 = madd(v128.load(taps3 + o), v128.load(x3 + o), s0);
      s1 = madd(v128.load(taps3 + o, 16), v128.load(x3 + o, 16), s1);
      low = f32x4.mul(low, siluSlope(s0, sigmoid(s0)));
      high = f32x4.mul(high, siluSlope(s1, sigmoid(s1)));
    }
    let g0 = f32x4.mul(v128.load(taps3 + o), v128.load(ds0 + o));
    let g1 = f32x4.mul(v128.load(taps3 + o, 16), v128.load(ds0 + o, 16));
    g0 = madd(v128.load(taps2 + o), v128.load(ds1 + o), g0);
    g1 = madd(v128.load(taps2 + o, 16), v128.load(ds1 + o, 16), g1);
    g0 = madd(v128.load(taps1 + o), v128.load(ds2 + o), g0);
    g1 = madd(v128.load(taps1 + o, 16), v128.load(ds2 + o, 16), g1);
    g0 = madd(v128.load(taps + o), low, g0);
    g1 = madd(v128.load(taps + o, 16), high, g1);
    v128.store(ds3 + o, low);
    v128.store(ds3 + o, high, 16);
    v128.store(dx + o, g0);
    v128.store(dx + o, g1, 16);
    addTo(dBias + o, low, high);
    addProduct(dTaps + o, x0 + o, low, high);
    addProduct(dTaps1 + o, x1 + o, low, high);
    addProduct(dTaps2 + o, x2 + o, low, high);
    addProduct(dTaps3 + o, x3 + o, low, high);
  }
}

/** @inline */
function addTo(sum: usize, low: v128, high: v128): void {
  const first = f32x4.add(v128.load(sum), low);
  const second = f32x4.add(v128.load(sum, 16), high);
  v128.store(sum, first);
  v128.store(sum, second, 16);
}

/** @inline */
function addProduct(sum: usize, x: usize, low: v128, high: v128): void {
  const first = madd(v128.load(x), low, v128.load(sum));
  const second = madd(v128.load(x, 16), high, v128.load(sum, 16));
  v128.store(sum, first);
  v128.store(sum, second, 16);
}

/** ds of a step, and what it adds to the gradients of the taps and of the bias, from channel `first` on. */
function cotangent(
  silu: bool, taps: usize, bias: usize, rows: usize, dy: usize, ds: usize, dTaps: usize, dBias: usize, first: i32,
  channels: i32, width: i32,
): void {
  const row = <usize>channels << 2;
  for (let c = first; c < channels; c += 4) {
    const rest = channels - c;
    const o = <usize>c << 2;
    let value = loadPart(dy + o, rest);
    if (silu) {
      let s = loadPart(bias + o, rest);
      for (let k = 0; k < width; k++) {
        const input = load<usize>(rows + (<usize>k << 2)) + o;
        s = madd(loadPart(taps + <usize>k * row + o, rest), loadPart(input, rest), s);
      }
      value = f32x4.mul(value, siluSlope(s, sigmoid(s)));
    }
    storePart(ds + o, value, rest);
    storePart(dBias + o, f32x4.add(loadPart(dBias + o, rest), value), rest);
    for (let k = 0; k < width; k++) {
      const input = load<usize>(rows + (<usize>k << 2)) + o;
      const sum = dTaps + <usize>k * row + o;
      storePart(sum, madd(value, loadPart(input, rest), loadPart(sum, rest)), rest);
    }
  }
}

/** The sum over `rows`, ds of the steps from that of x on, each times its tap, from channel `first` on. */
function gather(taps: usize, rows: usize, target: usize, first: i32, channels: i32, width: i32): void {
  const row = <usize>channels << 2;
  for (let c = first; c < channels; c += 4) {
    const rest = channels - c;
    const o = <usize>c << 2;
    let value = f32x4.splat(0);
    for (let j = 0; j < width; j++) {
      const ds = load<usize>(rows + (<usize>j << 2)) + o;
      value = madd(loadPart(taps + <usize>(width - 1 - j) * row + o, rest), loadPart(ds, rest), value);
    }
    storePart(target + o, value, rest);
  }
}

/** Adds the gradient of lastState `[channels, before]` to the rows that it holds. */
function addLast(
  from: usize, dx: usize, dPast: usize, begin: i32, length: i32, rowStride: usize, channels: i32, before: i32,
): void {
  const row = <usize>channels << 2;
  for (let k = 0; k < before; k++) {
    const step = length - before + k;
    if (step < begin) continue;
    const target = step < 0 ? dPast + <usize>(step + before) * row : dx + <usize>step * rowStride;
    for (let c = 0; c < channels; c++) {
      const value = load<f32>(from + (<usize>(c * before + k) << 2));
      const place = target + (<usize>c << 2);
      store<f32>(place, load<f32>(place) + value);
    }
  }
}
