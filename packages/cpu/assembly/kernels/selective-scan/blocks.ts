/** Blocks of eight channels: to and from them, and questions about all values of a buffer. */
import { Constant, constant } from '../../lib/constants';
import { transposeMatrix } from '../../lib/lanes';

/** `[channels, state]` → blocks `[state, 8]`, with zeros in channels that do not exist. */
export function toBlocks(from: usize, channels: i32, state: i32, to: usize): void {
  const row = <usize>state << 2;
  for (let channel = 0; channel < channels; channel += 8) {
    const count = min(8, channels - channel);
    if (count < 8) memory.fill(to, 0, row << 3);
    transposeMatrix(from, row, count, state, to, 32);
    from += row << 3;
    to += row << 3;
  }
}

/** Blocks `[state, 8]` → `[channels, state]`. */
export function fromBlocks(from: usize, channels: i32, state: i32, to: usize): void {
  const row = <usize>state << 2;
  for (let channel = 0; channel < channels; channel += 8) {
    transposeMatrix(from, 32, state, min(8, channels - channel), to, row);
    from += row << 3;
    to += row << 3;
  }
}

/** Multiplies by log2 e, so that exponentials become powers of two. */
export function scaleToPowersOfTwo(values: usize, bytes: usize): void {
  const factor = constant(Constant.LOG2_E);
  for (const end = values + bytes; values < end; values += 16) v128.store(values, f32x4.mul(v128.load(values), factor));
}

/** Whether a value is above 0. */
export function anyPositive(values: usize, bytes: usize): bool {
  let found = f32x4.splat(0);
  for (const end = values + bytes; values < end; values += 16) {
    found = v128.or(found, f32x4.gt(v128.load(values), f32x4.splat(0)));
  }
  return v128.any_true(found);
}

/** Whether a value is below 0. */
export function anyNegative(values: usize, bytes: usize): bool {
  let found = f32x4.splat(0);
  for (const end = values + bytes; values < end; values += 16) {
    found = v128.or(found, f32x4.lt(v128.load(values), f32x4.splat(0)));
  }
  return v128.any_true(found);
}

/** Whether no value is infinite or NaN. */
export function allFinite(values: usize, bytes: usize): bool {
  let none = f32x4.splat(0);
  for (const end = values + bytes; values < end; values += 16) {
    const value = v128.load(values);
    none = f32x4.add(none, f32x4.sub(value, value));
  }
  return i32x4.all_true(f32x4.eq(none, none));
}
