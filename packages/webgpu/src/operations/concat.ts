import type { ConcatCall, DeviceTensor } from '@mamba/core/driver';
import { concat as shader } from '../generated/index.ts';
import { type Gpu, whole } from '../gpu/gpu.ts';
import { plainStorage, rangeOf, type Storage } from '../storage.ts';

export function concat(gpu: Gpu, { tensors, extents, outer, inner }: ConcatCall<DeviceTensor<Storage>>): Storage {
  return gpu.allocating((allocator) => {
    const extent = extents.reduce((sum, count) => sum + count, 0);
    const y = allocator.result(4 * outer * extent * inner, 'concat');
    let start = 0;
    for (const [index, tensor] of tensors.entries()) {
      const count = extents[index]!;
      const size = outer * count * inner;
      gpu.dispatch(shader, {
        bindings: { x: rangeOf(tensor), y: whole(y) },
        uniforms: { size, start, count, extent, inner },
        workgroups: gpu.grid(Math.ceil(size / 256)),
      });
      start += count;
    }
    return plainStorage(y, tensors[0]!.dtype === 'int32' ? 'int32' : 'float32');
  });
}
