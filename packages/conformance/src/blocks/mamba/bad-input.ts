import { createBlock } from '@mamba/core';
import { openBlock } from '../../cases/block.ts';
import { type BadInput, untyped } from '../../invariants/attempts.ts';
import { SMALL_BLOCK } from './shapes.ts';

export const mambaBadInput: readonly BadInput[] = [
  ['block-missing-weight', 'invalid-argument', (i) => () => createBlock(i.backend, SMALL_BLOCK, untyped({}))],
  ['block-config', 'invalid-argument', (i) => () => createBlock(i.backend, { ...SMALL_BLOCK, dConv: 1 }, untyped({}))],
  ['block-weight-shape', 'invalid-argument', (i) => otherStates(i)],
];

/** Makes a block from weights that have another number of states than the config. */
const otherStates: BadInput[2] = (inputs) => {
  const weights = inputs.block(SMALL_BLOCK);
  return () => openBlock(inputs.backend, { ...SMALL_BLOCK, dState: SMALL_BLOCK.dState + 1 }, weights);
};
