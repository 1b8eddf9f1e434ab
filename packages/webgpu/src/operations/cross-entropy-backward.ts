import type { CrossEntropyBackwardCall, DeviceTensor } from '@mamba/core/driver';
import { crossEntropyBackward as shader } from '../generated/index.ts';
import { type Gpu, rowWorkgroup, wholeRange } from '../gpu/gpu.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';

export function crossEntropyBackward(gpu: Gpu, call: CrossEntropyBackwardCall<DeviceTensor<Storage>>): Storage {
  return differentiateLoss(gpu, { ...call, factor: 1, ignore: true });
}

export interface LossBackward extends CrossEntropyBackwardCall<DeviceTensor<Storage>> {
  /** Multiplies the gradient. */
  readonly factor: 1 | -1;
  /** Whether rows with a target below 0 have no gradient. */
  readonly ignore: boolean;
}

/** The gradient of the logits of a loss, or of a log-probability, which is a loss with the other sign. */
export function differentiateLoss(gpu: Gpu, call: LossBackward): Storage {
  const { logits, targets, dy, labelSmoothing, rows, vocab, factor, ignore } = call;
  return gpu.allocating((allocator) => {
    const dlogits = allocator.result(4 * rows * vocab, 'cross-entropy-backward');
    gpu.dispatch(shader, {
      overrides: { WORKGROUP: rowWorkgroup(gpu, vocab), IGNORE: ignore },
      bindings: {
        logits: rangeOf(logits),
        targets: rangeOf(targets),
        dy: rangeOf(dy),
        dlogits: wholeRange(dlogits),
      },
      uniforms: { rows, vocab, smoothing: labelSmoothing, factor, zero: 0 },
      workgroups: gpu.grid(rows),
    });
    return unsplitStorage(dlogits);
  });
}
