/** Every kind that has a fused form which core calls: those of the fused model, and attention, whose state grows. */
import type { Tensor } from '@mamba/core';
import type { BlockConfig, BlockWeights, FusionContext } from '@mamba/core/driver';
import type { KernelContext } from '../operations/kernel-context.ts';
import type { Storage } from '../storage.ts';
import { attentionForCore } from './attention/attention.ts';
import { bindAttentionBlock } from './attention/block.ts';
import type { BoundBlock } from './bound-block.ts';
import type { BlockSource } from './fused-block.ts';
import { bindFused } from './fused-for-core.ts';
import { bindBlock, deviceWeights, FUSED_KINDS, fusedKind } from './kinds.ts';

export const CORE_KINDS: readonly string[] = [...FUSED_KINDS, 'attention'];

/** What `bindForCore` takes: a block with its weights as core has them. */
export type CoreSource = Omit<BlockSource, 'weights' | 'config'> & {
  readonly config: BlockConfig;
  readonly weights: BlockWeights<Tensor>;
};

/** Binds a block; undefined where it has no fused form, or where this device cannot run even one token of it. */
export function bindForCore(
  kernels: KernelContext,
  context: FusionContext<Storage>,
  source: CoreSource,
): BoundBlock | undefined {
  if (!CORE_KINDS.includes(source.config.kind)) return undefined;
  const block = kernels.gpu.allocating((allocator): BoundBlock | undefined => {
    const { config } = source;
    if (config.kind === 'attention') {
      const weights = deviceWeights(context, source);
      return attentionForCore(bindAttentionBlock(kernels, allocator, context, { ...source, config, weights }));
    }
    if (fusedKind(config.kind)!.refusal(kernels, config, 1, 1) !== undefined) return undefined;
    return bindFused(kernels, context, source, bindBlock(kernels, allocator, context, source));
  });
  if (block === undefined || block.refusal(1, 1) === undefined) return block;
  block.dispose();
  return undefined;
}
