import type { DeviceTensor, EmbeddingBackwardCall } from '@mamba/core/driver';
import { embeddingBackward as shader } from '../generated/index.ts';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';

/** Workgroups that fill a device. More of them would read the ids more often. */
const FILLING = 1024;

export function embeddingBackward(
  gpu: Gpu,
  { ids, dy, count, rows, channels }: EmbeddingBackwardCall<DeviceTensor<Storage>>,
): Storage {
  const owned = Math.ceil(rows / FILLING);
  return gpu.allocating((allocator) => {
    const dtable = allocator.result(4 * rows * channels, 'embedding-backward');
    gpu.dispatch(shader, {
      bindings: { ids: rangeOf(ids), dy: rangeOf(dy), dtable: wholeRange(dtable) },
      uniforms: { count, rows, channels, owned },
      workgroups: gpu.grid(Math.ceil(rows / owned)),
    });
    return unsplitStorage(dtable);
  });
}
