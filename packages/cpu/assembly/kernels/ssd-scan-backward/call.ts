/** The call of the backward of Mamba-2's scan, and the part of it that a task computes. */
import { MOST_ROWS } from '../linear-tile';
import { locate, SSD_CHUNK, SSD_PADDED, SsdInputs, SsdPart, takeBuffers } from '../ssd-scan/call';

/**
 * Heads of a group whose dB and dC are summed together, in their order; `taskHeads` is this number, or all of a group,
 * so that any number of threads gives the same bits.
 */
export const SUMMED_HEADS = 4; // host

/**
 * The backward of Mamba-2's scan. Gradients of what rows or ranges of heads share are partial sums, one behind the
 * other, which a later command adds up: dA, dD and dDtBias of each batch row; dB and dC of each range of heads of a
 * group. dx, ddt, dz, dy, dB and dC are dense.
 */
@unmanaged
export class SsdScanBackwardCall extends SsdInputs {
  batch: i32;
  dy: usize;
  dLastState: usize;
  dx: usize;
  ddt: usize;
  dA: usize;
  dB: usize;
  dC: usize;
  dD: usize;
  dz: usize;
  dDtBias: usize;
  dInitialState: usize;
}

/** As `SsdPart`, with what the way back needs. P and N are a head's channels and states in whole panels. */
@unmanaged
export class SsdBackwardPart extends SsdPart {
  backward: SsdScanBackwardCall;
  chunks: i32;
  /** The range of heads within the group. */
  range: i32;
  /** Bytes of a row of P channels, and of panels `[SSD_CHUNK, 16]` of all of them. */
  rowBytes: usize;

  /** States before each chunk of each head, `[taskHeads, chunks]`, and the gradient of each head's state. */
  starts: usize;
  adjoints: usize;
  /** Of each head: the gradients of A and dtBias in float64, and of D for each channel. */
  shared: usize;
  sharedBytes: usize;

  /** Of a chunk of the group: tiles of rows of B, tiles of states of C, and panels of B and C. */
  rowsB: usize;
  statesC: usize;
  panelsB: usize;
  panelsC: usize;
  /** Panels `[SSD_CHUNK + MOST_ROWS, 16]`: the gradients of B and C, summed over the heads. */
  dB: usize;
  dC: usize;
  selectiveBytes: usize;
  /** `[SSD_CHUNK, SSD_PADDED]`: Σ_heads L ∘ ds uᵀ, and one head's part of it. */
  products: usize;
  product: usize;
  /** Tiles of its rows, and of its columns. */
  rowsProducts: usize;
  columnsProducts: usize;

  /** Of a chunk of one head: rows `[SSD_CHUNK, P]` of u = d x, of ds = dy silu(z), and of one of them scaled. */
  u: usize;
  ds: usize;
  scaled: usize;
  /** Tiles of the rows of ds, and of scaled rows. */
  rowsDs: usize;
  rowsScaled: usize;
  /** Panels `[SSD_CHUNK, 16]` of ds, and of exp(α) ds. */
  cotangents: usize;
  keptCotangents: usize;
  /** Panels `[headDim, 16]` of a state, sixteen states each; and one of u, turned. */
  turned: usize;
  panelU: usize;
  /** A second tile. */
  other: usize;
  /**
   * `[SSD_PADDED]` each: ones; ds · y from the state before the chunk; u · du from behind the chunk; x · du; and in
   * float64 what passes through each step within the chunk.
   */
  ones: usize;
  along: usize;
  behind: usize;
  entered: usize;
  passing: usize;
}

/** Bytes of a thread's scratch. `memory` is free memory of SSD_PART_BYTES. */
export function ssdBackwardScratch(
  memory: usize, headDim: i32, state: i32, taskHeads: i32, wide: i32, length: i32,
): usize {
  return takeBackward(changetype<SsdBackwardPart>(memory), headDim, state, taskHeads, wide, length) - memory;
}

export function locateBackward(part: SsdBackwardPart, call: SsdScanBackwardCall, task: i32): void {
  locate(part, call, task);
  takeBackward(part, call.headDim, call.state, call.taskHeads, call.wide, call.length);
  part.backward = call;
  part.range = (part.head - part.group * (call.heads / call.groups)) / call.taskHeads;
  for (let t: usize = 0; t < <usize>SSD_PADDED << 2; t += 4) store<f32>(part.ones + t, 1);
}

function takeBackward(
  part: SsdBackwardPart, headDim: i32, state: i32, taskHeads: i32, wide: i32, length: i32,
): usize {
  let at = takeBuffers(part, headDim, state, taskHeads, wide);
  const chunks = (length + SSD_CHUNK - 1) / SSD_CHUNK;
  const heads = <usize>taskHeads;
  const vector: usize = SSD_PADDED << 2;
  const square = <usize>SSD_CHUNK * vector;
  const rowBytes = <usize>part.panels << 6;
  const rows = <usize>SSD_CHUNK * rowBytes;
  const tiles = <usize>SSD_CHUNK * (<usize>headDim << 2);
  const selective = <usize>part.statePanels * ((SSD_CHUNK + MOST_ROWS) << 6);
  part.chunks = chunks;
  part.rowBytes = rowBytes;
  part.sharedBytes = rowBytes + 16;
  part.selectiveBytes = selective;
  part.starts = at;
  part.adjoints = at += heads * <usize>chunks * part.stateBytes;
  part.shared = at += heads * part.stateBytes;
  part.rowsB = at += heads * part.sharedBytes;
  part.statesC = at += <usize>SSD_CHUNK * (<usize>state << 2);
  part.panelsB = at += <usize>SSD_CHUNK * (<usize>part.stateRows << 2);
  part.panelsC = at += selective;
  part.dB = at += selective;
  part.dC = at += selective;
  part.products = at += selective;
  part.product = at += square;
  part.rowsProducts = at += square;
  part.columnsProducts = at += square;
  part.u = at += square;
  part.ds = at += rows;
  part.scaled = at += rows;
  part.rowsDs = at += rows;
  part.rowsScaled = at += tiles;
  part.cotangents = at += tiles;
  part.keptCotangents = at += rows;
  part.turned = at += rows;
  part.panelU = at += <usize>part.statePanels * (<usize>headDim << 6);
  part.other = at += <usize>headDim << 6;
  part.ones = at += MOST_ROWS << 6;
  part.along = at += vector;
  part.behind = at += vector;
  part.entered = at += vector;
  part.passing = at += vector;
  return at + 2 * vector;
}
