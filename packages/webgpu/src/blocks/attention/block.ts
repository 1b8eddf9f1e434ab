/** An attention block with its weights, and the sizes that follow from its config. */
import {
  type AttentionConfig,
  type AttentionWeights,
  type DeviceTensor,
  type FusionContext,
  kvHeadsOf,
  resolveAttention,
  resolveRope,
} from '@mamba/core/driver';
import type { Allocator } from '../../gpu/gpu.ts';
import { bindingRefusal } from '../../gpu/limits.ts';
import { attentionRefusal } from '../../operations/attention.ts';
import type { KernelContext } from '../../operations/kernel-context.ts';
import { projectionRefusal } from '../../operations/linear.ts';
import type { Storage } from '../../storage.ts';
import type { BlockSource, RmsNorm } from '../fused-block.ts';
import { type BoundAttention, bindAttention } from './weights.ts';

export interface AttentionBlock {
  readonly kernels: KernelContext;
  readonly context: FusionContext<Storage>;
  readonly config: AttentionConfig;
  readonly dModel: number;
  readonly norm: RmsNorm | undefined;
  readonly weights: BoundAttention;
  /** Radians a position, of each pair of channels that turns; none without rotary positions. */
  readonly frequencies: readonly number[];
}

/**
 * Binds a block. A step takes four or five dispatches: norm and q, k and v; their norms, positions and the cache;
 * attention, and the sum of its parts where a long cache is cut; the output.
 */
export function bindAttentionBlock(
  kernels: KernelContext,
  allocator: Allocator,
  context: FusionContext<Storage>,
  { config, weights, dModel, norm }: BlockSource<'attention'>,
): AttentionBlock {
  const { heads, headDim, rope } = config;
  const turned = rope && resolveRope({ shape: [1, 1, heads, headDim], dtype: 'float32' }, rope).call;
  const bound = bindAttention(kernels.gpu, allocator, config, weights as AttentionWeights<DeviceTensor<Storage>>);
  const frequencies = turned?.frequencies ?? [];
  return { kernels, context, config, dModel, norm, weights: bound, frequencies };
}

/** The channels of q, k and v of a token, which lie one behind another. */
export function widthOf(config: AttentionConfig): number {
  return (config.heads + 2 * kvHeadsOf(config)) * config.headDim;
}

/** The reason why a call of this size cannot run on this device; undefined where it can. */
export function attentionBlockRefusal(
  { kernels, config }: AttentionBlock,
  batch: number,
  length: number,
): string | undefined {
  const { gpu } = kernels;
  const rows = batch * length;
  return (
    bindingRefusal(gpu, 'q, k and v', rows * widthOf(config)) ??
    projectionRefusal(gpu, rows, widthOf(config)) ??
    attentionRefusal(kernels, callOf(config, { batch, length, keys: length, offset: 0 }))
  );
}

interface AttentionSizes {
  readonly batch: number;
  readonly length: number;
  readonly keys: number;
  readonly offset: number;
}

/** The call of the operation, with specs in place of tensors. */
export function callOf(config: AttentionConfig, { batch, length, keys, offset }: AttentionSizes) {
  const { heads, headDim, window, globalTokens, scale, softcap } = config;
  const spec = (rows: number, channels: number) => ({ shape: [batch, rows, channels], dtype: 'float32' }) as const;
  const cached = spec(keys, kvHeadsOf(config) * headDim);
  const options = { headDim, window, globalTokens, scale, softcap, offset };
  return resolveAttention(spec(length, heads * headDim), cached, cached, options).call;
}
