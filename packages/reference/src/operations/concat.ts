import type { ConcatCall } from '@mamba/core/driver';
import { type Input, newFloats, newIntegers, type Storage } from '../storage.ts';

/** For each outer index, copies the `[extent, inner]` values of every part in turn. */
export function concat({ tensors, extents, outer, inner }: ConcatCall<Input>): Storage {
  const size = outer * inner * extents.reduce((sum, extent) => sum + extent, 0);
  const y = tensors[0]!.dtype === 'int32' ? newIntegers(size) : newFloats(size);
  let to = 0;
  for (let o = 0; o < outer; o++) {
    for (const [part, { storage }] of tensors.entries()) {
      const run = extents[part]! * inner;
      for (let i = 0; i < run; i++) y[to++] = storage[o * run + i]!;
    }
  }
  return y;
}
