/** What formats have no word for, in words that follow "the model". */
import type { BlockConfig, MlpConfig, ModelConfig } from '@mamba/core';
import { isGated } from '@mamba/core/toolkit';

/** Why a model is not layers of blocks of these kinds in turn, all layers alike; undefined where it is. */
export function beyondRepeated({ blocks }: ModelConfig, ...kinds: BlockConfig['kind'][]): string | undefined {
  const other = blocks.find(({ kind }, index) => kind !== kinds[index % kinds.length]);
  if (other !== undefined) return `has a block of kind ${other.kind} where there is ${kinds.join(' and ')} in turn`;
  if (blocks.length % kinds.length !== 0) return `has ${blocks.length} blocks, no whole number of layers`;
  return blocks.every((block, index) => alike(block, blocks[index % kinds.length]!))
    ? undefined
    : 'has layers of unequal sizes or options';
}

/** Why an MLP is not one that SiLU gates and that has no biases; undefined where it is. */
export function beyondSwiGlu(block: MlpConfig): string | undefined {
  if (block.activation !== 'silu' || !isGated(block)) return 'has an MLP that is not gated by SiLU';
  return block.bias ? 'has an MLP with biases' : undefined;
}

function alike(a: BlockConfig, b: BlockConfig): boolean {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) => a[key as keyof BlockConfig] === b[key as keyof BlockConfig]);
}
