import type { BlockConfig, BlockKind } from '@mamba/core';
import { attentionInputs } from './attention/inputs.ts';
import type { KindInputs } from './contract.ts';
import { mambaInputs } from './mamba/inputs.ts';
import { mamba2Inputs } from './mamba2/inputs.ts';

const INPUTS: { readonly [K in BlockKind]?: KindInputs<BlockConfig<K>> } = {
  mamba: mambaInputs,
  mamba2: mamba2Inputs,
  attention: attentionInputs,
};

/** The distributions of the weights and states of a kind; an empty object for a kind that takes the defaults. */
export function kindInputs(kind: string): KindInputs {
  return (INPUTS[kind as BlockKind] ?? {}) as KindInputs;
}
