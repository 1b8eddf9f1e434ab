import { blockCase } from '../../cases/block.ts';
import type { Case } from '../../cases/case.ts';
import { MAMBA2_BLOCK, NORM_FIRST_BLOCK, PLAIN_GATE_BLOCK } from './shapes.ts';

export function mamba2Cases(): readonly Case[] {
  const config = MAMBA2_BLOCK;
  return [
    ...[1, 2, 17, 129].map((length) => blockCase({ config, batch: 2, length, id: `mamba2-len${length}` })),
    blockCase({ config, batch: 2, length: 1, initialState: true, id: 'mamba2-step' }),
    blockCase({ config, batch: 2, length: 17, initialState: true, resets: true, id: 'mamba2-resets' }),
    ...[1, 17].map((length) =>
      blockCase({ config: PLAIN_GATE_BLOCK, batch: 2, length, id: `mamba2-plain-gate-len${length}` }),
    ),
    blockCase({ config: NORM_FIRST_BLOCK, batch: 2, length: 17, id: 'mamba2-norm-first' }),
    blockCase({ config: { ...config, heads: 1, groups: 1 }, batch: 2, length: 9, id: 'mamba2-one-head' }),
    // Every head has B and C of its own.
    blockCase({ config: { ...config, groups: 4 }, batch: 2, length: 9, id: 'mamba2-a-group-a-head' }),
  ];
}
