import type { SliceCall } from '@mamba/core/driver';
import { type Input, newFloats, newIntegers, type Storage } from '../storage.ts';

/** `y[o, e - start, i] = x[o, e, i]` for e in [start, end) */
export function slice({ x, start, end, outer, extent, inner }: SliceCall<Input>): Storage {
  const size = outer * (end - start) * inner;
  const y = x.dtype === 'int32' ? newIntegers(size) : newFloats(size);
  let to = 0;
  for (let o = 0; o < outer; o++) {
    for (let e = start; e < end; e++) {
      for (let i = 0; i < inner; i++) y[to++] = x.storage[(o * extent + e) * inner + i]!;
    }
  }
  return y;
}
