/** The gradients of B and C of a chunk, summed over the heads of a task. */
import { storePart } from '../../lib/lanes';
import { MOST_ROWS, multiplyTile } from '../linear-tile';
import { SSD_CHUNK, SSD_PADDED } from '../ssd-scan/call';
import { packColumns, packRows, scalePanels, turnPanel } from '../ssd-scan/panels';
import { triangle } from '../ssd-scan/scan';
import { decayGram } from '../ssd-scan/steps';
import { SsdBackwardPart } from './call';
import { sumPassing } from './steps';

/** Bytes from one panel of B, C or a gradient of them to the next. */
const PANEL: usize = (SSD_CHUNK + MOST_ROWS) << 6;

/** Brings B and C of a chunk into the forms of the way back, and lets all sums start from zero. */
export function startSelective(part: SsdBackwardPart, start: i32, count: i32): void {
  const call = part.backward;
  const stride = call.stepStride;
  const B = part.B + <usize>start * stride;
  const C = part.C + <usize>start * stride;
  packRows(B, stride, count, call.state, part.height, part.rowsB);
  packColumns(C, stride, call.state, count, part.height, part.statesC);
  scalePanels(B, stride, call.state, count, part.ones, part.panelsB, PANEL);
  scalePanels(C, stride, call.state, count, part.ones, part.panelsC, PANEL);
  memory.fill(part.dB, 0, part.selectiveBytes);
  memory.fill(part.dC, 0, part.selectiveBytes);
  memory.fill(part.products, 0, (SSD_CHUNK * SSD_PADDED) << 2);
}

/** Adds what one head gives: through the states before and behind the chunk, and L ∘ ds uᵀ. */
export function takeSelective(part: SsdBackwardPart, state: usize, adjoint: usize, count: i32): void {
  addThrough(part, state, part.ds, part.kept, count, part.dC);
  addThrough(part, adjoint, part.u, part.left, count, part.dB);
  const headDim = part.call.headDim;
  triangle(part, part.rowsDs, headDim, part.u, part.rowBytes, count, part.panelU, part.product);
  decayGram(part, count, false, part.product, part.product);
  sumPassing(part, count);
  const end = part.products + <usize>(count * SSD_PADDED << 2);
  let from = part.product;
  for (let to = part.products; to < end; to += 16) {
    v128.store(to, f32x4.add(v128.load(to), v128.load(from)));
    from += 16;
  }
}

/** sums += (rows, each times its factor) · state, over the channels of a head. */
function addThrough(part: SsdBackwardPart, state: usize, rows: usize, factors: usize, count: i32, sums: usize): void {
  const headDim = part.call.headDim;
  const height = part.height;
  let from = rows;
  let to = part.scaled;
  for (let t = 0; t < count; t++) {
    const factor = v128.load32_splat(factors + (<usize>t << 2));
    for (let at: usize = 0; at < part.rowBytes; at += 16) {
      v128.store(to + at, f32x4.mul(v128.load(from + at), factor));
    }
    from += part.rowBytes;
    to += part.rowBytes;
  }
  packRows(part.scaled, part.rowBytes, count, headDim, height, part.rowsScaled);
  turnState(part, state);
  for (let panel = 0; panel < part.statePanels; panel++) {
    const turned = part.turned + <usize>panel * (<usize>headDim << 6);
    for (let i = 0; i < count; i += height) {
      const place = sums + <usize>panel * PANEL + (<usize>i << 6);
      const tile = part.rowsScaled + (<usize>(i * headDim) << 2);
      multiplyTile(part.call.wide, tile, turned, headDim, place, 64, place, 64);
    }
  }
}

/** From panels `[stateRows, 16]` of sixteen channels to panels `[headDim, 16]` of sixteen states. */
function turnState(part: SsdBackwardPart, state: usize): void {
  const headDim = part.call.headDim;
  const states = part.call.state;
  for (let n = 0; n < states; n += 16) {
    const to = part.turned + <usize>(n >> 4) * (<usize>headDim << 6);
    for (let p = 0; p < headDim; p += 16) {
      const from = state + <usize>(p >> 4) * (<usize>part.stateRows << 6) + (<usize>n << 6);
      turnPanel(from, 64, min(16, states - n), min(16, headDim - p), to + (<usize>p << 6));
    }
  }
}

/** Adds what passes within the chunk, and writes rows of dB and dC as partial sums of the task's range of heads. */
export function finishSelective(part: SsdBackwardPart, start: i32, count: i32): void {
  const call = part.backward;
  const height = part.height;
  const wide = call.wide;
  packRows(part.products, SSD_PADDED << 2, count, SSD_CHUNK, height, part.rowsProducts);
  packColumns(part.products, SSD_PADDED << 2, count, count, height, part.columnsProducts);
  for (let panel = 0; panel < part.statePanels; panel++) {
    const offset = <usize>panel * PANEL;
    for (let i = 0; i < count; i += height) {
      const row = offset + (<usize>i << 6);
      const rows = part.rowsProducts + (<usize>(i * SSD_CHUNK) << 2);
      const ofC = part.dC + row;
      multiplyTile(wide, rows, part.panelsB + offset, min(i + height, count), ofC, 64, ofC, 64);
      const columns = part.columnsProducts + (<usize>(i * count + i * height) << 2);
      const ofB = part.dB + row;
      multiplyTile(wide, columns, part.panelsC + row, count - i, ofB, 64, ofB, 64);
    }
  }
  const row = <usize>call.groups * (<usize>call.state << 2);
  const steps = <usize>part.row * <usize>call.length + <usize>start;
  const partial = <usize>part.range * <usize>call.batch * <usize>call.length * row;
  const place = partial + steps * row + ((<usize>part.group * <usize>call.state) << 2);
  storeRows(part, part.dB, call.dB + place, row, count);
  storeRows(part, part.dC, call.dC + place, row, count);
}

function storeRows(part: SsdBackwardPart, from: usize, to: usize, stride: usize, count: i32): void {
  const state = part.call.state;
  for (let t = 0; t < count; t++) {
    for (let n = 0; n < state; n += 4) {
      const panel = from + <usize>(n >> 4) * PANEL + (<usize>t << 6);
      storePart(to + (<usize>n << 2), v128.load(panel + (<usize>(n & 15) << 2)), state - n);
    }
    to += stride;
  }
}
