import type { ConcatCall, SliceCall } from '@mamba/core/driver';
import type { Memory, Storage, Tensor } from '../memory.ts';

/** With x seen as `[outer, extent, inner]`, a run of `(end - start) * inner` values for each outer index. */
export function slice(memory: Memory, { x, start, end, outer, extent, inner }: SliceCall<Tensor>): Storage {
  const run = (end - start) * inner;
  const y = allocateLike(memory, x, outer * run);
  for (let o = 0; o < outer; o++) {
    const from = (o * extent + start) * inner;
    y.set(x.storage.subarray(from, from + run), o * run);
  }
  return y;
}

/** For each outer index, a run of `extent * inner` values of every part in turn. */
export function concat(memory: Memory, { tensors, extents, outer, inner }: ConcatCall<Tensor>): Storage {
  const width = extents.reduce((sum, extent) => sum + extent, 0) * inner;
  const y = allocateLike(memory, tensors[0], outer * width);
  let to = 0;
  for (const [part, { storage }] of tensors.entries()) {
    const run = extents[part] * inner;
    for (let o = 0; o < outer; o++) y.set(storage.subarray(o * run, (o + 1) * run), o * width + to);
    to += run;
  }
  return y;
}

function allocateLike(memory: Memory, { dtype }: Tensor, size: number): Storage {
  return dtype === 'int32' ? memory.integers(size)[0] : memory.floats(size)[0];
}
