/** The call of a selective scan, and the part of it that a task computes. */
import { Flag } from '../../program/call';

/** The rule by which the continuous system becomes a recurrence. */
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
  /** Bytes from one step to the next, in u, delta and y. */
  rowStride: usize;
  zStride: usize;
  /** Bytes from one step to the next, in B and C. */
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
  /** Steps of a time tile, which scratch holds at once. */
  tileSteps: i32;
  /** Channels of a task. */
  taskChannels: i32;
  /** Scratch of the first thread; the others' follow, `scratchStride` apart. */
  scratch: usize;
  scratchStride: usize;
}

/** Bytes that a thread's scratch keeps for a `ScanPart`. */
export const SCAN_PART_BYTES: usize = 128; // host

/**
 * A range of channels of one group, over all steps of one batch row. It lies at the start of the thread's scratch;
 * buffers follow it in which eight channels side by side are a block.
 */
@unmanaged
export class ScanPart {
  call: ScanCall;
  channels: i32;
  /** Blocks of eight channels; the last one may be incomplete. */
  blocks: i32;

  /** Addresses of the first channel at the first step, in tensors `[…, length, dim]`. z is 0 where it is absent. */
  u: usize;
  delta: usize;
  z: usize;
  y: usize;
  /**
   * Addresses of the first channel's row, in tensors `[dim, state]`. h is the state, first the initial and finally the
   * last one.
   */
  A: usize;
  h: usize;
  /** Addresses of the first channel, in tensors `[dim]`; 0 where they are absent. */
  D: usize;
  deltaBias: usize;
  /** Addresses of the group's first step, or of the first channel's row where B or C is constant. */
  B: usize;
  C: usize;
  /** Address of the first step; 0 where resets are absent. */
  resets: usize;

  /** Blocks `[state, 8]`: A, h, what rounding took from h, and B and C where they are constant. */
  blockA: usize;
  blockH: usize;
  blockRest: usize;
  blockB: usize;
  blockC: usize;
  /** Blocks `[tileSteps, 8]`: the step sizes d = softplus(delta + deltaBias), the inputs d u, and y. */
  stepSizes: usize;
  inputs: usize;
  results: usize;
  /** A copy of one block of h, and eight vectors behind it. */
  saved: usize;
}

/** Whether h starts from zeros at a step. @inline */
export function isReset(part: ScanPart, step: i32): bool {
  return part.resets != 0 && load<i32>(part.resets + (<usize>step << 2)) != 0;
}

/**
 * Bytes from the start of blocks `[tileSteps, 8]` to a step of a block; tiles start at multiples of `tileSteps`.
 * @inline
 */
export function stepOffset(part: ScanPart, block: i32, step: i32): usize {
  const tileSteps = part.call.tileSteps;
  return <usize>(block * tileSteps + step % tileSteps) << 5;
}
