import type { DeviceTensor, SliceCall } from '@mamba/core/driver';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import { copyRuns } from './copy-runs.ts';

export function slice(gpu: Gpu, { x, start, end, outer, extent, inner }: SliceCall<DeviceTensor<Storage>>): Storage {
  return gpu.allocating((allocator) => {
    const length = (end - start) * inner;
    const y = allocator.result(4 * outer * length, 'slice');
    const from = { xStride: extent * inner, xOffset: start * inner };
    copyRuns(gpu, rangeOf(x), wholeRange(y), { count: outer, length, ...from, yStride: length, yOffset: 0 });
    return unsplitStorage(y, x.dtype === 'int32' ? 'int32' : 'float32');
  });
}
