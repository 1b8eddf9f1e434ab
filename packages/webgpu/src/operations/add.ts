import type { AddCall, DeviceTensor } from '@mamba/core/driver';
import { add as shader } from '../generated/index.ts';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';

export function add(gpu: Gpu, { a, b, size }: AddCall<DeviceTensor<Storage>>): Storage {
  return gpu.allocating((allocator) => {
    const y = allocator.result(4 * size, 'add');
    sum(gpu, { a: rangeOf(a), b: rangeOf(b), y: wholeRange(y), size });
    return unsplitStorage(y);
  });
}

export interface Sum {
  readonly a: BufferRange;
  readonly b: BufferRange;
  readonly y: BufferRange;
  readonly size: number;
}

export function sum(gpu: Gpu, { a, b, y, size }: Sum): void {
  const quads = Math.ceil(size / 4);
  gpu.dispatch(shader, {
    bindings: { a, b, y },
    uniforms: { quads },
    workgroups: gpu.grid(Math.ceil(quads / 256)),
  });
}
