import type { Tensor } from '@mamba/core';
import type { DecodeCall, FusionContext, ModelConfig } from '@mamba/core/driver';
import { type Allocator, wholeRange } from '../gpu/gpu.ts';
import { largest } from '../operations/argmax.ts';
import type { KernelContext } from '../operations/kernel-context.ts';
import { draw } from '../operations/sample.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import type { StepMemory } from './stepper.ts';

interface Generation {
  readonly kernels: KernelContext;
  readonly context: FusionContext<Storage>;
  readonly config: ModelConfig;
  readonly allocator: Allocator;
}

/**
 * Generates tokens by steps that read `fed` and write `logits`. Each token is chosen on the device and fed to the next
 * step. Returns the ids, `[batch, count]`.
 */
export function generate(
  { kernels: { gpu }, context, config: { vocabSize: vocab }, allocator }: Generation,
  { ids: given, batch, count, sampling }: DecodeCall,
  { fed, logits }: Pick<StepMemory, 'fed' | 'logits'>,
  step: (index: number) => void,
): Tensor {
  const first = rangeOf(context.device(given));
  const uniform = sampling && rangeOf(context.device(sampling.uniform));
  const ids = allocator.result(4 * batch * count, 'generated ids');
  const choice = { logits, rows: batch, vocab, ids: wholeRange(ids), idRow: count, idOffset: 0, checked: true, fed };
  const choosing = gpu.capture(() => {
    if (sampling === undefined) largest(gpu, choice);
    else draw(gpu, choice, { ...sampling, uniform: uniform!, uniformRow: count, uniformOffset: 0 });
  });
  gpu.recorder.copy(first.buffer, first.offset, fed.buffer, 0, 4 * batch);
  gpu.recorder.clear(fed.buffer, 4 * batch, 4 * batch);
  for (let index = 0; index < count; index++) {
    step(index);
    gpu.recorder.replay(choosing.plan);
  }
  choosing.forget();
  return context.tensor(unsplitStorage(ids, 'int32'), {
    shape: [batch, count],
    dtype: 'int32',
    range: { min: 0, max: vocab - 1 },
  });
}
