import { blockConfig } from '@mamba/core';
import { blockCase } from '../../cases/block.ts';
import type { Case } from '../../cases/case.ts';
import { BIASED_BLOCK, FALCON_BLOCK, JAMBA_BLOCK, SMALL_BLOCK } from './shapes.ts';

export function mambaCases(): readonly Case[] {
  const config = SMALL_BLOCK;
  return [
    ...[1, 2, 3, 17, 129].map((length) => blockCase({ config, batch: 2, length, id: `len${length}` })),
    ...[1, 3, 5, 13, 33].map((dModel) =>
      blockCase({ config: blockConfig(dModel, { dState: 5, dtRank: 3 }), batch: 2, length: 7, id: `d${dModel}` }),
    ),
    blockCase({ config: blockConfig(16), batch: 1, length: 33, id: 'usual' }),
    ...[2, 3, 5].map((dConv) => blockCase({ config: { ...config, dConv }, batch: 2, length: 9, id: `conv${dConv}` })),
    blockCase({ config, batch: 2, length: 17, initialState: true, id: 'initial-state' }),
    blockCase({ config, batch: 2, length: 1, initialState: true, id: 'step' }),
    blockCase({ config, batch: 2, length: 17, initialState: true, resets: true, id: 'resets' }),
    blockCase({ config: BIASED_BLOCK, batch: 2, length: 17, id: 'biased' }),
    blockCase({ config: { ...config, convBias: false }, batch: 2, length: 17, id: 'no-conv-bias' }),
    blockCase({ config: FALCON_BLOCK, batch: 2, length: 17, id: 'falcon' }),
    blockCase({ config: FALCON_BLOCK, batch: 2, length: 17, initialState: true, resets: true, id: 'falcon-resets' }),
    ...[1, 17].map((length) => blockCase({ config: JAMBA_BLOCK, batch: 2, length, id: `jamba-len${length}` })),
  ];
}
