import type { Tensor } from '@mamba/core';
import type { BlockKind, BlockWeights, DeviceTensor, FusionContext } from '@mamba/core/driver';
import type { Allocator } from '../gpu/gpu.ts';
import type { KernelContext } from '../operations/kernel-context.ts';
import type { Storage } from '../storage.ts';
import type { BlockSource, FusedBlock, FusedKind } from './fused-block.ts';
import { mamba } from './mamba/mamba.ts';
import { mlp } from './mlp/mlp.ts';

const KINDS: { readonly [Kind in BlockKind]?: FusedKind<Kind> } = { mamba, mlp };

/** The kinds that have a fused form. */
export const FUSED_KINDS = Object.keys(KINDS);

/** Returns the fused form of a kind; undefined where its blocks are composed of operations. */
export function fusedKind(kind: BlockKind): FusedKind | undefined {
  return KINDS[kind] as FusedKind | undefined;
}

/** Makes a block of a kind that has a fused form, bound to its weights. */
export function bindBlock(
  kernels: KernelContext,
  allocator: Allocator,
  context: FusionContext<Storage>,
  source: Omit<BlockSource, 'weights'> & { readonly weights: BlockWeights<Tensor> },
): FusedBlock {
  const bound = { ...source, weights: deviceWeights(context, source) };
  return fusedKind(source.config.kind)!.bind(kernels, allocator, bound);
}

/** The weights that a block has, with their memory. */
export function deviceWeights(
  context: FusionContext<Storage>,
  { weights }: { readonly weights: BlockWeights<Tensor> },
): BlockWeights<DeviceTensor<Storage>> {
  const bound: Record<string, DeviceTensor<Storage>> = {};
  for (const [key, tensor] of Object.entries(weights)) if (tensor !== undefined) bound[key] = context.device(tensor);
  return bound;
}
