/** What the scan of S4D and its backward share: tiles of time for a block of four channels, and states. */
import { Flag } from '../../program/call';
import { loadPart, storePart } from '../../lib/lanes';

/** Steps of a tile. */
export const S4D_TILE = 64; // host
/** Most blocks of a task: a row of 64 bytes is a line of the cache. */
export const S4D_TASK_BLOCKS = 4; // host

/** What the scan of S4D reads. Address 0 means that a tensor is absent. */
@unmanaged
export class S4dInputs {
  u: usize;
  /** Records as system.ts makes them. */
  system: usize;
  D: usize;
  initialState: usize;
  resets: usize;
  length: i32;
  dim: i32;
  state: i32;
  /** States of a block in `system`. */
  records: i32;
  complex: Flag;
  /** Scratch of the first thread; the others' follow, `scratchStride` apart. */
  scratch: usize;
  scratchStride: usize;
}

/** Bytes of the rows of a batch, `[length, dim]`, before row `row`. @inline */
export function rowsBefore(call: S4dInputs, row: i32): usize {
  return (<usize>row * <usize>call.length * <usize>call.dim) << 2;
}

/** Whether the state before a step of a row is zero. `resets` is the address of the row's marks, or 0. @inline */
export function isReset(resets: usize, step: i32): bool {
  return resets != 0 && load<i32>(resets + (<usize>step << 2)) != 0;
}

/** The address of a row's marks, or 0. @inline */
export function marksOf(call: S4dInputs, row: i32): usize {
  return call.resets == 0 ? 0 : call.resets + ((<usize>row * <usize>call.length) << 2);
}

/** Loads `count` rows of up to four channels as vectors. */
export function loadTile(from: usize, rowStride: usize, channels: i32, count: i32, to: usize): void {
  for (let t = 0; t < count; t++) {
    v128.store(to, loadPart(from, channels));
    from += rowStride;
    to += 16;
  }
}

/** Stores vectors as `count` rows of up to four channels. */
export function storeTile(from: usize, to: usize, rowStride: usize, channels: i32, count: i32): void {
  for (let t = 0; t < count; t++) {
    storePart(to, v128.load(from), channels);
    from += 16;
    to += rowStride;
  }
}

/** Brings the states `[2, dim, state]` of a row and four channels into pairs of vectors, real and imaginary. */
export function loadStates(call: S4dInputs, tensor: usize, row: i32, channel: i32, channels: i32, to: usize): void {
  memory.fill(to, 0, <usize>call.records << 5);
  if (tensor == 0) return;
  const plane = <usize>(call.dim * call.state) << 2;
  const complex = call.complex != 0;
  const from = tensor + <usize>row * (complex ? 2 * plane : plane);
  for (let lane = 0; lane < channels; lane++) {
    for (let n = 0; n < call.state; n++) {
      const at = from + (<usize>((channel + lane) * call.state + n) << 2);
      const target = to + (<usize>n << 5) + (<usize>lane << 2);
      store<f32>(target, load<f32>(at));
      if (complex) store<f32>(target, load<f32>(at + plane), 16);
    }
  }
}

/** Writes states where `loadStates` reads them. */
export function storeStates(call: S4dInputs, from: usize, tensor: usize, row: i32, channel: i32, channels: i32): void {
  const plane = <usize>(call.dim * call.state) << 2;
  const complex = call.complex != 0;
  const to = tensor + <usize>row * (complex ? 2 * plane : plane);
  for (let lane = 0; lane < channels; lane++) {
    for (let n = 0; n < call.state; n++) {
      const at = to + (<usize>((channel + lane) * call.state + n) << 2);
      const source = from + (<usize>n << 5) + (<usize>lane << 2);
      store<f32>(at, load<f32>(source));
      if (complex) store<f32>(at + plane, load<f32>(source, 16));
    }
  }
}
