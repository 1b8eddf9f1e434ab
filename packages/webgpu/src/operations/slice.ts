import type { DeviceTensor, SliceCall } from '@mamba/core/driver';
import { slice as shader } from '../generated/index.ts';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';

export function slice(gpu: Gpu, { x, start, end, outer, extent, inner }: SliceCall<DeviceTensor<Storage>>): Storage {
  return gpu.allocating((allocator) => {
    const count = end - start;
    const size = outer * count * inner;
    const y = allocator.result(4 * size, 'slice');
    gpu.dispatch(shader, {
      bindings: { x: rangeOf(x), y: wholeRange(y) },
      uniforms: { size, start, count, extent, inner },
      workgroups: gpu.grid(Math.ceil(size / 256)),
    });
    return unsplitStorage(y, x.dtype === 'int32' ? 'int32' : 'float32');
  });
}
