/** The call of a selective scan, and the part of it that a task computes. */
import { Flag } from '../../program/call';

/** The rule by which the continuous system becomes a recurrence. */
export const enum Discretization {
  EULER,
  ZOH,
  BILINEAR,
}

/**
 * What a selective scan reads, forward and backward. Addresses and strides are in bytes, and address 0 means that a
 * tensor is absent.
 */
@unmanaged
export class ScanInputs {
  u: usize;
  delta: usize;
  A: usize;
  B: usize;
  C: usize;
  D: usize;
  z: usize;
  deltaBias: usize;
  resets: usize;
  /** Absent means zeros. */
  initialState: usize;
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

/**
 * Steps of a time tile, but for calls that are shorter. Its three buffers of the largest task fit half of a usual
 * second-level cache, and it is long enough to make loading a state cheap. It is the same for every call: where a state
 * overflows, it decides which steps are computed again. States are kept for the backward before each tile.
 */
export const TILE_STEPS = 40; // host

/** A selective scan. `initialState` may be `lastState` itself. */
@unmanaged
export class ScanCall extends ScanInputs {
  lastState: usize;
  /** `[batch, tiles, dim, state]`: where the states before each tile go; 0 where they are not kept. */
  states: usize;
  /** May be u or delta itself. */
  y: usize;
}

/** Bytes that a thread's scratch keeps for a `ScanPart`, forward or backward. */
export const SCAN_PART_BYTES: usize = 256; // host

/**
 * A range of channels of one group, over all steps of one batch row. It lies at the start of the thread's scratch;
 * buffers follow it in which eight channels side by side are a block.
 */
@unmanaged
export class ScanPart {
  call: ScanInputs;
  /** The batch row, and the range of channels within its group. */
  row: i32;
  range: i32;
  channels: i32;
  /** Blocks of eight channels; the last one may be incomplete. */
  blocks: i32;

  /** Bytes to the first channel in tensors `[dim]`, and to its row in `[dim, state]` and in `[batch, dim, state]`. */
  channelOffset: usize;
  parameterOffset: usize;
  stateOffset: usize;
  /** Bytes to the first channel at the first step, in tensors `[batch, length, dim]`. */
  activationOffset: usize;
  /** Bytes to the group's first step, in tensors `[batch, length, groups, state]`. */
  selectiveOffset: usize;

  /** Addresses of the first channel at the first step, in tensors `[…, length, dim]`. z is 0 where it is absent. */
  u: usize;
  delta: usize;
  z: usize;
  /** Address of the first channel's row, in a tensor `[dim, state]`. */
  A: usize;
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
  /** The first address behind all of these. */
  end: usize;
}

/** Finds a task's channels in the call's tensors, and the places of its buffers. */
export function locate(part: ScanPart, call: ScanInputs, task: i32): void {
  const groupChannels = call.dim / call.groups;
  const ranges = (groupChannels + call.taskChannels - 1) / call.taskChannels;
  const row = task / (ranges * call.groups);
  const group = (task / ranges) % call.groups;
  const range = task % ranges;
  const inside = range * call.taskChannels;
  const channels = min(call.taskChannels, groupChannels - inside);
  const channel = <usize>(group * groupChannels + inside) << 2;
  const state = <usize>call.state;
  const parameters = channel * state;
  const steps = <usize>row * <usize>call.length;
  const activations = steps * call.rowStride + channel;
  const selective = steps * call.stepStride + ((<usize>group * state) << 2);
  part.call = call;
  part.row = row;
  part.range = range;
  part.channels = channels;
  part.blocks = (channels + 7) >> 3;
  part.channelOffset = channel;
  part.parameterOffset = parameters;
  part.stateOffset = ((<usize>row * <usize>call.dim * state) << 2) + parameters;
  part.activationOffset = activations;
  part.selectiveOffset = selective;
  part.u = call.u + activations;
  part.delta = call.delta + activations;
  part.z = call.z == 0 ? <usize>0 : call.z + steps * call.zStride + channel;
  part.A = call.A + parameters;
  part.D = call.D == 0 ? <usize>0 : call.D + channel;
  part.deltaBias = call.deltaBias == 0 ? <usize>0 : call.deltaBias + channel;
  part.B = call.B + (call.constantB ? parameters : selective);
  part.C = call.C + (call.constantC ? parameters : selective);
  part.resets = call.resets == 0 ? <usize>0 : call.resets + (steps << 2);

  const parameter = (<usize>part.blocks * state) << 5;
  const buffer = <usize>(part.blocks * call.tileSteps) << 5;
  part.blockA = changetype<usize>(part) + SCAN_PART_BYTES;
  part.blockH = part.blockA + parameter;
  part.blockRest = part.blockH + parameter;
  part.blockB = part.blockRest + parameter;
  part.blockC = part.blockB + (call.constantB ? parameter : 0);
  part.stepSizes = part.blockC + (call.constantC ? parameter : 0);
  part.inputs = part.stepSizes + buffer;
  part.results = part.inputs + buffer;
  part.saved = part.results + buffer;
  part.end = part.saved + (state << 5) + 128;
}

/** Bytes to the first channel's state in a tensor `[batch, tiles, dim, state]` of states before tiles. */
export function keptOffset(part: ScanPart, tile: i32): usize {
  const call = part.call;
  const row = (<usize>call.dim * <usize>call.state) << 2;
  const tiles = (call.length + TILE_STEPS - 1) / TILE_STEPS;
  return <usize>(part.row * tiles + tile) * row + part.parameterOffset;
}

/** Whether h starts from zeros at a step. @inline */
export function isReset(part: ScanPart, step: i32): bool {
  return part.resets != 0 && load<i32>(part.resets + (<usize>step << 2)) != 0;
}

/** The first step after `first`, and before `end`, at which h starts from zeros; `end` where there is none. */
export function nextReset(part: ScanPart, first: i32, end: i32): i32 {
  if (part.resets == 0) return end;
  let next = first + 1;
  while (next < end && !isReset(part, next)) next++;
  return next;
}

/**
 * Bytes from the start of blocks `[tileSteps, 8]` to a step of a block; tiles start at multiples of `tileSteps`.
 * @inline
 */
export function stepOffset(part: ScanPart, block: i32, step: i32): usize {
  const tileSteps = part.call.tileSteps;
  return <usize>(block * tileSteps + step % tileSteps) << 5;
}
