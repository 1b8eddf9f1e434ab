/** States of a head: rows `[headDim, state]` as tensors have them, and panels `[stateRows, 16]` as products do. */
import { transposeMatrix } from '../../lib/lanes';
import { multiplyTile } from '../linear-tile';
import { SsdPart } from './call';
import { scaleAll } from './panels';

/** Brings a state into panels; what is behind its channels and states is zero. */
export function loadState(part: SsdPart, from: usize, to: usize): void {
  const call = part.call;
  memory.fill(to, 0, part.stateBytes);
  if (from == 0) return;
  const stride = <usize>call.state << 2;
  for (let p = 0; p < call.headDim; p += 16) {
    transposeMatrix(from + <usize>p * stride, stride, min(16, call.headDim - p), call.state, to, 64);
    to += <usize>part.stateRows << 6;
  }
}

export function storeState(part: SsdPart, from: usize, to: usize): void {
  const call = part.call;
  const stride = <usize>call.state << 2;
  for (let p = 0; p < call.headDim; p += 16) {
    transposeMatrix(from, 64, call.state, min(16, call.headDim - p), to + <usize>p * stride, stride);
    from += <usize>part.stateRows << 6;
  }
}

/**
 * state = decay · state + Σ_t rows_t ⊗ inputs_t over `count` steps: tiles of states `[steps, height]`, which lie
 * `rowsStride` apart, times panels `[steps, 16]`, which lie `panelStride` apart.
 */
export function advanceState(
  part: SsdPart, state: usize, decay: f32, rows: usize, rowsStride: usize, inputs: usize, panelStride: usize,
  count: i32,
): void {
  const wide = part.call.wide;
  const height = part.height;
  const step = <usize>height << 6;
  scaleAll(state, part.stateBytes, decay);
  for (let panel = 0; panel < part.panels; panel++) {
    let tile = rows;
    for (let n = 0; n < part.stateRows; n += height) {
      multiplyTile(wide, tile, inputs, count, state, 64, state, 64);
      tile += rowsStride;
      state += step;
    }
    inputs += panelStride;
  }
}
