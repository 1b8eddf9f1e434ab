import { parameterCount } from '@mamba/core';
import type { ModelConfig, ModelKernel } from '@mamba/core/driver';
import type { KernelContext } from '../operations/kernel-context.ts';
import { modelRefusal } from './refusal.ts';

/** Most tokens that are computed at once by default, over all rows. */
const MOST = 2048;
/** The fewest of a row. */
const LEAST = 512;
/**
 * Operations after which a pass is long enough: its dispatches hide what the host takes to record them, and a slow
 * device is not held so long that its driver takes it for hung.
 */
const OPERATIONS = 1e12;

/**
 * How many tokens of a row a call of a model computes at once by default. Longer passes fill the device and have fewer
 * dispatches: on an H100, 2048 tokens of mamba-130m take 6.6 ms in one pass and 15.6 in four, bound by the host.
 */
export function chunksOf(kernels: KernelContext, config: ModelConfig): Required<ModelKernel>['chunk'] {
  const { vocabSize, dModel } = config;
  const perToken = 2 * (parameterCount(config) - vocabSize * dModel);
  const rows = Math.min(MOST, OPERATIONS / perToken);
  return (batch, logits) => {
    const fits = (chunk: number) =>
      modelRefusal(kernels, config, batch, chunk, logits === 'all' ? batch * chunk : batch) === undefined;
    let chunk = Math.max(LEAST, Math.floor(rows / batch / 64) * 64);
    while (chunk > LEAST && !fits(chunk)) chunk = Math.max(LEAST, chunk / 2);
    return chunk;
  };
}
