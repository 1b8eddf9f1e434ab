/**
 * Depthwise causal convolution of one batch row, with bias, SiLU, state and resets.
 *
 * Channels are the vector. Weights are transposed once to [width, dim], the state before the first step to [width - 1, dim]; then each
 * step reads `width` rows of x (one from memory, the others from cache) through a list of row addresses, in which rows before
 * the first step point into the state and rows before a reset to zeros. x is read and y written once.
 *
 * `state` [dim, width - 1] holds the state before the first step, and the state after the last one afterwards.
 * Scratch: see `causalConv1dScratch` in src/operations/causal-conv1d.ts: weights, history, zeros, row addresses.
 */
import { silu } from '../lib/activations';
import { copy, loadPart, storePart, transposeMatrix } from '../lib/lanes';

export function causalConv1d(
  x: usize, weight: usize, bias: usize, state: usize, resets: usize, y: usize,
  length: i32, dim: i32, width: i32, activate: bool, scratch: usize,
): void {
  const row = <usize>dim << 2;
  const before = width - 1;
  const taps = scratch;
  const history = taps + <usize>width * row;
  const zeros = history + <usize>before * row;
  const rows = zeros + row;
  transposeMatrix(weight, <usize>width << 2, dim, width, taps, row);
  transposeMatrix(state, <usize>before << 2, dim, before, history, row);
  memory.fill(zeros, 0, row);

  let start = -before; // the first step whose input still counts
  for (let t = 0; t < length; t++) {
    if (resets != 0 && load<i32>(resets + (<usize>t << 2)) != 0) start = t;
    for (let k = 0; k < width; k++) {
      store<usize>(rows + (<usize>k << 2), rowAt(t - before + k, start, before, x, history, zeros, row));
    }
    const out = y + <usize>t * row;
    if (width == 4) convolve4(taps, bias, rows, out, dim, activate);
    else convolve(taps, bias, rows, out, dim, width, activate);
  }

  for (let k = 0; k < before; k++) {
    store<usize>(rows + (<usize>k << 2), rowAt(length - before + k, start, before, x, history, zeros, row));
  }
  // The new state may come from the old one's rows: gathered into the taps' place first, which are done with.
  for (let k = 0; k < before; k++) copy(taps + <usize>k * row, load<usize>(rows + (<usize>k << 2)), row);
  transposeMatrix(taps, row, before, dim, state, <usize>before << 2);
}

// @ts-ignore: decorator
@inline
function rowAt(t: i32, start: i32, before: i32, x: usize, history: usize, zeros: usize, row: usize): usize {
  if (t < start) return zeros;
  return t < 0 ? history + <usize>(t + before) * row : x + <usize>t * row;
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
  for (let c = 0; c < dim; c += 4) {
    const rest = dim - c;
    const o = <usize>c << 2;
    let value = bias != 0 ? loadPart(bias + o, rest) : f32x4.splat(0);
    value = f32x4.add(value, f32x4.mul(loadPart(taps + o, rest), loadPart(x0 + o, rest)));
    value = f32x4.add(value, f32x4.mul(loadPart(taps1 + o, rest), loadPart(x1 + o, rest)));
    value = f32x4.add(value, f32x4.mul(loadPart(taps2 + o, rest), loadPart(x2 + o, rest)));
    value = f32x4.add(value, f32x4.mul(loadPart(taps3 + o, rest), loadPart(x3 + o, rest)));
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
      value = f32x4.add(value, f32x4.mul(loadPart(taps + <usize>k * row + o, rest), loadPart(input, rest)));
    }
    storePart(y + o, activate ? silu(value) : value, rest);
  }
}
