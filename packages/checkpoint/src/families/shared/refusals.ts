/** Reasons why a format cannot express a model, in words that follow "the model". */
import type { AttentionConfig, BlockConfig, MlpConfig, ModelConfig } from '@mamba/core';
import { isGated } from '@mamba/core/toolkit';

/**
 * The reason why a model does not consist of equal layers, each of blocks of these kinds in turn; undefined where it
 * does.
 */
export function repeatedRefusal({ blocks }: ModelConfig, ...kinds: BlockConfig['kind'][]): string | undefined {
  const other = blocks.find(({ kind }, index) => kind !== kinds[index % kinds.length]);
  if (other !== undefined) return `has a block of kind ${other.kind} where there is ${kinds.join(' and ')} in turn`;
  if (blocks.length % kinds.length !== 0) return `has ${blocks.length} blocks, no whole number of layers`;
  return blocks.every((block, index) => sameConfig(block, blocks[index % kinds.length]!))
    ? undefined
    : 'has layers of unequal sizes or options';
}

/** The reason why the inner size is no whole multiple of the model's width, in words; undefined where it is. */
export function expandRefusal(dInner: number, dModel: number): string | undefined {
  return dInner % dModel === 0 ? undefined : `has an inner size of ${dInner}, no multiple of its width`;
}

/** The reason why an MLP is not SwiGLU without biases; undefined where it is. */
export function swiGluRefusal(block: MlpConfig): string | undefined {
  if (block.activation !== 'silu' || !isGated(block)) return 'has an MLP that is not gated by SiLU';
  return block.bias ? 'has an MLP with biases' : undefined;
}

/** The reason why attention is not the plain one, of every token before with the usual scale; undefined where it is. */
export function plainAttentionRefusal(block: AttentionConfig): string | undefined {
  const { headDim, window, softcap, qkNormEps, scale = headDim ** -0.5 } = block;
  if (window !== undefined) return 'has attention with a window';
  if (softcap !== undefined) return 'has attention with a softcap';
  if (qkNormEps !== undefined) return 'has attention with norms of q and k';
  return scale === headDim ** -0.5 ? undefined : `has attention with the scale ${scale}`;
}

/** The reason why a model is not one with LayerNorm and without factors, in words; undefined where it is. */
export function layerNormRefusal({ norm, multipliers = {} }: ModelConfig): string | undefined {
  if (norm !== 'layer') return 'has RMS norms';
  const factor = Object.values(multipliers).find((value) => value !== undefined && value !== 1);
  return factor === undefined ? undefined : 'has multipliers';
}

function sameConfig(a: BlockConfig, b: BlockConfig): boolean {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every(
    (key) => JSON.stringify(a[key as keyof BlockConfig]) === JSON.stringify(b[key as keyof BlockConfig]),
  );
}
