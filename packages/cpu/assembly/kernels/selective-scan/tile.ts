/** The states over a tile of time, which the scan and the pass before its backward share: passes 1 and 2 of scan.ts. */
import { allFinite, anyNegative, anyPositive, scaleToPowersOfTwo, toBlocks } from './blocks';
import { Discretization, ScanPart, stepOffset } from './call';
import { decay } from './decay';
import { general } from './general';
import { prepare } from './prepare';

/**
 * Brings A, the state h `[channels, state]` (zeros where it is 0), and constant B and C into blocks. Returns whether
 * decay.ts can take the steps, unless it meets one that grows.
 */
export function loadBlocks(part: ScanPart, h: usize): bool {
  const call = part.call;
  const channels = part.channels;
  const state = call.state;
  const parameter = (<usize>part.blocks * <usize>state) << 5;
  toBlocks(part.A, channels, state, part.blockA);
  if (h == 0) memory.fill(part.blockH, 0, parameter);
  else toBlocks(h, channels, state, part.blockH);
  memory.fill(part.blockRest, 0, parameter);
  if (call.constantB) toBlocks(part.B, channels, state, part.blockB);
  if (call.constantC) toBlocks(part.C, channels, state, part.blockC);
  if (call.discretization != Discretization.BILINEAR) scaleToPowersOfTwo(part.blockA, parameter);
  memory.fill(part.stepSizes, 0, <usize>(part.blocks * call.tileSteps) << 6);
  const euler = call.discretization == Discretization.EULER;
  return euler && !call.constantB && !call.constantC && !anyPositive(part.blockA, parameter);
}

/** Prepares `count` steps from `start`, the beginning of a tile. */
export function startTile(part: ScanPart, start: i32, count: i32): void {
  prepare(part, start, count);
  memory.fill(part.results, 0, <usize>(part.blocks * part.call.tileSteps) << 5);
}

/** Lets all states start from zeros. */
export function resetStates(part: ScanPart): void {
  memory.fill(part.blockH, 0, <usize>(part.blocks * part.call.state) << 6);
}

/**
 * `count` steps of a block from step `first` on; they are in one tile, and only the first may have a reset. Where
 * `outputs` is false the states alone are wanted.
 */
export function advanceBlock(
  part: ScanPart, block: i32, first: i32, count: i32, decaying: bool, outputs: bool,
): void {
  if (!decaying || !tryDecay(part, block, first, count, outputs)) general(part, block, first, count);
}

/** Takes the fast path. Returns false where its result would be wrong; the block is unchanged then. */
function tryDecay(part: ScanPart, block: i32, first: i32, count: i32, outputs: bool): bool {
  const steps = stepOffset(part, block, first);
  if (!part.call.deltaSoftplus && anyNegative(part.stepSizes + steps, <usize>count << 5)) return false;
  const bytes = <usize>part.call.state << 5;
  const at = <usize>block * bytes;
  memory.copy(part.saved, part.blockH + at, bytes);
  decay(part, block, first, count, outputs);
  if (allFinite(part.blockH + at, bytes)) return true;
  memory.copy(part.blockH + at, part.saved, bytes);
  memory.fill(part.blockRest + at, 0, bytes);
  memory.fill(part.results + steps, 0, <usize>count << 5);
  return false;
}
