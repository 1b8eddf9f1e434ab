import { MambaError } from '@mamba/core';
import { type BlockConfig, beyondRms, type ModelConfig, stateGrows } from '@mamba/core/driver';
import { fusedKind } from '../blocks/kinds.ts';
import { bindingRefusal } from '../gpu/limits.ts';
import type { KernelContext } from '../operations/kernel-context.ts';
import { projectionRefusal } from '../operations/linear.ts';

/**
 * Whether the fused model takes such a model: one with RMS norms, and with states whose size does not depend on the
 * position.
 */
export function isFusible(config: ModelConfig): boolean {
  return (
    beyondRms(config) === undefined &&
    config.blocks.every(({ kind }) => fusedKind(kind) !== undefined) &&
    !stateGrows(config)
  );
}

/** The reason why a call of this size cannot run on this device; undefined where it can. */
export function modelRefusal(
  kernels: KernelContext,
  config: ModelConfig,
  batch: number,
  length: number,
  logitRows: number,
): string | undefined {
  const { dModel, vocabSize } = config;
  const limits = [
    bindingRefusal(kernels.gpu, 'the residual', batch * length * dModel),
    ...distinctBlocks(config).map((block) => fusedKind(block.kind)!.refusal(kernels, block, batch, length)),
    logitRows === 0 ? undefined : projectionRefusal(kernels.gpu, logitRows, vocabSize),
  ];
  return limits.find((reason) => reason !== undefined);
}

/** @throws MambaError `unsupported` */
export function checkCall(
  kernels: KernelContext,
  config: ModelConfig,
  batch: number,
  length: number,
  logitRows: number,
): void {
  const reason = modelRefusal(kernels, config, batch, length, logitRows);
  if (reason !== undefined)
    throw new MambaError('unsupported', `webgpu cannot run this call: ${reason}`, {
      origin: 'model.forward',
      given: `batch ${batch}, length ${length}`,
      remedy: 'Take a smaller chunk or batch, or ask for fewer logits.',
    });
}

/** The different configs of a model's blocks. */
export function distinctBlocks(config: ModelConfig): readonly BlockConfig[] {
  let distinct = known.get(config);
  if (distinct === undefined) {
    distinct = [...new Map(config.blocks.map((block) => [JSON.stringify(block), block])).values()];
    known.set(config, distinct);
  }
  return distinct;
}

const known = new WeakMap<ModelConfig, readonly BlockConfig[]>();
