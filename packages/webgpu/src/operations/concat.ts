import type { ConcatCall, DeviceTensor } from '@mamba/core/driver';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import { copyRuns } from './copy-runs.ts';

export function concat(gpu: Gpu, { tensors, extents, outer, inner }: ConcatCall<DeviceTensor<Storage>>): Storage {
  return gpu.allocating((allocator) => {
    const yStride = inner * extents.reduce((sum, count) => sum + count, 0);
    const y = allocator.result(4 * outer * yStride, 'concat');
    let yOffset = 0;
    for (const [index, tensor] of tensors.entries()) {
      const length = extents[index]! * inner;
      const from = { count: outer, length, xStride: length, xOffset: 0 };
      copyRuns(gpu, rangeOf(tensor), wholeRange(y), { ...from, yStride, yOffset });
      yOffset += length;
    }
    return unsplitStorage(y, tensors[0]!.dtype === 'int32' ? 'int32' : 'float32');
  });
}
