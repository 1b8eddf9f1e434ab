import type { ConcatCall, DeviceTensor } from '@mamba/core/driver';
import { concat as shader } from '../generated/index.ts';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';

export function concat(gpu: Gpu, { tensors, extents, outer, inner }: ConcatCall<DeviceTensor<Storage>>): Storage {
  return gpu.allocating((allocator) => {
    const extent = extents.reduce((sum, count) => sum + count, 0);
    const y = allocator.result(4 * outer * extent * inner, 'concat');
    let start = 0;
    for (const [index, tensor] of tensors.entries()) {
      const count = extents[index]!;
      const size = outer * count * inner;
      gpu.dispatch(shader, {
        bindings: { x: rangeOf(tensor), y: wholeRange(y) },
        uniforms: { size, start, count, extent, inner },
        workgroups: gpu.grid(Math.ceil(size / 256)),
      });
      start += count;
    }
    return unsplitStorage(y, tensors[0]!.dtype === 'int32' ? 'int32' : 'float32');
  });
}
