import type { BlockConfig, BlockKind } from '@mamba/core';
import type { KindInputs } from './contract.ts';
import { mambaInputs } from './mamba/inputs.ts';

const INPUTS: { readonly [K in BlockKind]?: KindInputs<BlockConfig<K>> } = { mamba: mambaInputs };

/** How the weights and states of a kind are drawn; an empty object where the defaults are right. */
export function kindInputs(kind: string): KindInputs {
  return (INPUTS[kind as BlockKind] ?? {}) as KindInputs;
}
