import type { AddCall, DeviceTensor } from '@mamba/core/driver';
import { add as shader } from '../generated/index.ts';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';

export function add(gpu: Gpu, { a, b, size }: AddCall<DeviceTensor<Storage>>): Storage {
  return gpu.allocating((allocator) => {
    const y = allocator.result(4 * size, 'add');
    const quads = Math.ceil(size / 4);
    gpu.dispatch(shader, {
      bindings: { a: rangeOf(a), b: rangeOf(b), y: wholeRange(y) },
      uniforms: { quads },
      workgroups: gpu.grid(Math.ceil(quads / 256)),
    });
    return unsplitStorage(y);
  });
}
