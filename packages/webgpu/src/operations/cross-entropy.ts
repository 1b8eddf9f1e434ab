import type { CrossEntropyCall, DeviceTensor } from '@mamba/core/driver';
import { crossEntropy as shader } from '../generated/index.ts';
import { type Gpu, rowWorkgroup, wholeRange } from '../gpu/gpu.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';

export function crossEntropy(
  gpu: Gpu,
  { logits, targets, labelSmoothing, rows, vocab }: CrossEntropyCall<DeviceTensor<Storage>>,
): Storage {
  return gpu.allocating((allocator) => {
    const y = allocator.result(4 * rows, 'cross-entropy');
    gpu.dispatch(shader, {
      overrides: { WORKGROUP: rowWorkgroup(gpu, vocab), SMOOTH: labelSmoothing > 0 },
      bindings: { logits: rangeOf(logits), targets: rangeOf(targets), y: wholeRange(y) },
      uniforms: { rows, vocab, smoothing: labelSmoothing, zero: 0 },
      workgroups: gpu.grid(rows),
    });
    return unsplitStorage(y);
  });
}
