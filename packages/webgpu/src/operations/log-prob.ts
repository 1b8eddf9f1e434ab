import type { DeviceTensor, LogProbCall } from '@mamba/core/driver';
import { logProb as shader } from '../generated/index.ts';
import { type Gpu, rowWorkgroup, wholeRange } from '../gpu/gpu.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';

export function logProb(gpu: Gpu, { logits, ids, rows, vocab }: LogProbCall<DeviceTensor<Storage>>): Storage {
  return gpu.allocating((allocator) => {
    const y = allocator.result(4 * rows, 'log-prob');
    gpu.dispatch(shader, {
      overrides: { WORKGROUP: rowWorkgroup(gpu, vocab) },
      bindings: { logits: rangeOf(logits), ids: rangeOf(ids), y: wholeRange(y) },
      uniforms: { rows, vocab, zero: 0 },
      workgroups: gpu.grid(rows),
    });
    return unsplitStorage(y);
  });
}
