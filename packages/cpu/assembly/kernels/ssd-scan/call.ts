/** The call of Mamba-2's scan, and the part of it that a task computes. */
import { Flag } from '../../program/call';
import { MOST_ROWS, tileRows } from '../linear-tile';

/**
 * Steps of a chunk, whole tiles of five or six rows. Chunks begin at the first step of a call, whatever the threads.
 */
export const SSD_CHUNK = 60;
/** Steps of a chunk in whole panels of sixteen, and in whole vectors. */
export const SSD_PADDED = 64;

/** What the scan reads, forward and backward. Addresses and strides are in bytes, and address 0 means absent. */
@unmanaged
export class SsdInputs {
  x: usize;
  dt: usize;
  A: usize;
  B: usize;
  C: usize;
  D: usize;
  z: usize;
  dtBias: usize;
  resets: usize;
  /** Absent means zeros. */
  initialState: usize;
  /** Bytes from one step to the next: of x, of dt, of z, and of B and C. */
  xStride: usize;
  dtStride: usize;
  zStride: usize;
  stepStride: usize;
  length: i32;
  heads: i32;
  headDim: i32;
  groups: i32;
  /** States of a channel. */
  state: i32;
  dtSoftplus: Flag;
  dtMin: f32;
  dtMax: f32;
  /** Whether D is `[heads, headDim]`. */
  wideD: Flag;
  /** Whether tiles have the form that V8's revectorisation takes. */
  wide: Flag;
  /** Heads of a task. */
  taskHeads: i32;
  /** Scratch of the first thread; the others' follow, `scratchStride` apart. */
  scratch: usize;
  scratchStride: usize;
}

/** Mamba-2's scan. `initialState` may be `lastState` itself. */
@unmanaged
export class SsdScanCall extends SsdInputs {
  lastState: usize;
  /** May be x itself. */
  y: usize;
  /** Bytes from one step to the next. */
  yStride: usize;
}

/** Bytes that a thread's scratch keeps for an `SsdPart`, forward or backward. */
export const SSD_PART_BYTES: usize = 512; // host

/**
 * A range of heads of one group, over all steps of one batch row. It lies at the start of the thread's scratch, and its
 * buffers follow it. P and N are a head's channels and states in whole panels of sixteen.
 */
@unmanaged
export class SsdPart {
  call: SsdInputs;
  /** The batch row, the group, the first head, and how many heads. */
  row: i32;
  group: i32;
  head: i32;
  heads: i32;
  /** Rows of a tile. */
  height: i32;
  /** Panels of a head's channels, and of its states. */
  panels: i32;
  statePanels: i32;
  /** States in whole tiles of rows. */
  stateRows: i32;

  /** Addresses of the row's first step. z and resets are 0 where they are absent. */
  x: usize;
  dt: usize;
  z: usize;
  B: usize;
  C: usize;
  resets: usize;

  /** Of a chunk of one head: the step sizes d, and in two floats each the sums α of d A up to each step. */
  stepSizes: usize;
  sums: usize;
  rests: usize;
  /** exp(α), what is left of the first state, and exp(α_last - α), what is left at the chunk's end. */
  kept: usize;
  left: usize;

  /** Of a chunk of the group: tiles of rows of C `[state, height]`, and tiles of states of B `[steps, height]`. */
  rowsC: usize;
  statesB: usize;
  /** `[SSD_CHUNK, SSD_PADDED]`: C Bᵀ, of which the lower triangle is computed. */
  gram: usize;
  /** A panel of B `[state, 16]` for it. */
  panelB: usize;

  /** Of a chunk of one head: `[SSD_CHUNK, SSD_PADDED]` L ∘ C Bᵀ, and its tiles of rows `[steps, height]`. */
  decayed: usize;
  rowsDecayed: usize;
  /** Panels `[SSD_CHUNK, 16]` of d x, and of the same times what is left of it at the chunk's end. */
  inputs: usize;
  leftInputs: usize;
  /** Zeros, and a tile on its way out: `[height, 16]` each. */
  zeros: usize;
  tile: usize;
  /** Panels `[stateRows, 16]` of the state of each head, `stateBytes` apart; a row has sixteen channels of a state. */
  states: usize;
  stateBytes: usize;
  /** The first address behind all of these. */
  end: usize;
}

/** Finds a task's heads in the call's tensors, and the places of its buffers. */
export function locate(part: SsdPart, call: SsdInputs, task: i32): void {
  const groupHeads = call.heads / call.groups;
  const ranges = (groupHeads + call.taskHeads - 1) / call.taskHeads;
  const row = task / (ranges * call.groups);
  const group = (task / ranges) % call.groups;
  const inside = (task % ranges) * call.taskHeads;
  const steps = <usize>row * <usize>call.length;
  const selective = steps * call.stepStride + ((<usize>group * <usize>call.state) << 2);
  part.call = call;
  part.row = row;
  part.group = group;
  part.head = group * groupHeads + inside;
  part.heads = min(call.taskHeads, groupHeads - inside);
  part.x = call.x + steps * call.xStride;
  part.dt = call.dt + steps * call.dtStride;
  part.z = call.z == 0 ? <usize>0 : call.z + steps * call.zStride;
  part.B = call.B + selective;
  part.C = call.C + selective;
  part.resets = call.resets == 0 ? <usize>0 : call.resets + (steps << 2);
  takeBuffers(part, call.headDim, call.state, call.taskHeads, call.wide);
  memory.fill(part.zeros, 0, MOST_ROWS << 6);
}

/** Bytes of a thread's scratch. `memory` is free memory of SSD_PART_BYTES. */
export function ssdScratch(memory: usize, headDim: i32, state: i32, taskHeads: i32, wide: i32): usize {
  return takeBuffers(changetype<SsdPart>(memory), headDim, state, taskHeads, wide) - memory;
}

/** Places the buffers behind the part, and returns the address behind them. */
export function takeBuffers(part: SsdPart, headDim: i32, state: i32, taskHeads: i32, wide: i32): usize {
  const height = tileRows(wide);
  const panels = (headDim + 15) >> 4;
  const statePanels = (state + 15) >> 4;
  const stateRows = (state + height - 1) / height * height;
  part.height = height;
  part.panels = panels;
  part.statePanels = statePanels;
  part.stateRows = stateRows;
  const vector: usize = SSD_PADDED << 2;
  const square = <usize>SSD_CHUNK * vector;
  const channels = <usize>panels << 6;
  const rows = <usize>SSD_CHUNK * (<usize>state << 2);
  let at = changetype<usize>(part) + SSD_PART_BYTES;
  part.stepSizes = at;
  part.sums = at += vector;
  part.rests = at += vector;
  part.kept = at += vector;
  part.left = at += vector;
  part.rowsC = at += vector;
  part.statesB = at += rows;
  part.gram = at += <usize>SSD_CHUNK * (<usize>stateRows << 2);
  part.panelB = at += square;
  part.decayed = at += <usize>state << 6;
  part.rowsDecayed = at += square;
  part.inputs = at += square;
  part.leftInputs = at += <usize>SSD_CHUNK * channels;
  part.zeros = at += <usize>SSD_CHUNK * channels;
  part.tile = at += MOST_ROWS << 6;
  part.states = at += MOST_ROWS << 6;
  part.stateBytes = <usize>stateRows * channels;
  at += <usize>taskHeads * part.stateBytes;
  part.end = at;
  return at;
}
