/** The least work of a block, by its kind. */
import type { BlockConfig, BlockKind } from '@mamba/core';
import { blockDefinition } from '@mamba/core/driver';
import { linearWork, type Work } from '../cases/work.ts';
import { mambaWork } from './mamba.ts';
import { mamba2Work } from './mamba2.ts';
import { mlpWork } from './mlp.ts';

export interface BlockTokens {
  readonly dModel: number;
  /** Rows of all sequences together. */
  readonly tokens: number;
  /** Sequences, each with a state. */
  readonly batch: number;
  readonly bytesPerValue: number;
  readonly bytesPerWeight: number;
}

export type CountWork<K extends BlockKind> = (config: BlockConfig<K>, size: BlockTokens) => Work;

/** A block over its tokens: its weights once, its input, output and states. */
export function blockWork<K extends BlockKind>(config: BlockConfig<K>, size: BlockTokens): Work {
  const count = kinds[config.kind as K];
  return count?.(config, size) ?? productsOf(config as BlockConfig, size);
}

const kinds: { readonly [K in BlockKind]?: CountWork<K> } = {
  mamba: mambaWork,
  mamba2: mamba2Work,
  mlp: mlpWork,
};

/** A kind that the bench does not know is at least the products of its matrices. */
function productsOf(config: BlockConfig, { dModel, tokens, bytesPerValue, bytesPerWeight }: BlockTokens): Work {
  const work = { operations: 0, bytes: 2 * tokens * dModel * bytesPerValue };
  for (const { role, shape } of blockDefinition('blockWork', config.kind).parameters(config, dModel)) {
    if (role !== 'matrix') continue;
    const [outputs, inputs] = shape as [number, number];
    work.operations += linearWork({ rows: tokens, inputs, outputs }, bytesPerValue).operations;
    work.bytes += inputs * outputs * bytesPerWeight;
  }
  return work;
}
