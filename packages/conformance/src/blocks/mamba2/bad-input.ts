import { createBlock } from '@mamba/core';
import { openBlock } from '../../cases/block.ts';
import { type BadInput, untyped } from '../../invariants/attempts.ts';
import { MAMBA2_BLOCK, PLAIN_GATE_BLOCK } from './shapes.ts';

type Config = Readonly<Record<string, unknown>>;

export const mamba2BadInput: readonly BadInput[] = [
  ...(
    [
      ['groups', { ...MAMBA2_BLOCK, groups: 3 }],
      ['limits', { ...MAMBA2_BLOCK, dtMin: 2, dtMax: 1 }],
      ['infinite-limit', { ...MAMBA2_BLOCK, dtMin: Number.POSITIVE_INFINITY }],
      ['eps-without-norm', { ...PLAIN_GATE_BLOCK, normEps: 1e-5 }],
      ['expand', { ...MAMBA2_BLOCK, expand: 2 }],
    ] as const
  ).map(
    ([name, config]: readonly [string, Config]): BadInput => [
      `mamba2-${name}`,
      'invalid-argument',
      (i) => () => createBlock(i.backend, untyped(config), untyped({})),
    ],
  ),
  ['mamba2-weight-shape', 'invalid-argument', (i) => otherHeads(i)],
];

/** Makes a block from weights that have other heads than the config. */
const otherHeads: BadInput[2] = (inputs) => {
  const weights = inputs.block(MAMBA2_BLOCK);
  return () => openBlock(inputs.backend, { ...MAMBA2_BLOCK, heads: 2, headDim: 10 }, weights);
};
