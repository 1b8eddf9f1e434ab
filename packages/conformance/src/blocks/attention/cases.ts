import { blockCase } from '../../cases/block.ts';
import type { Case } from '../../cases/case.ts';
import { GLOBAL_BLOCK, GROUPED_BLOCK, WINDOW_BLOCK } from './shapes.ts';

export function attentionCases(): readonly Case[] {
  const batch = 2;
  return [
    ...[1, 2, 17].map((length) => blockCase({ config: GROUPED_BLOCK, batch, length, id: `attention-len${length}` })),
    blockCase({ config: GROUPED_BLOCK, batch, length: 17, initialState: true, id: 'attention-initial-state' }),
    blockCase({ config: GROUPED_BLOCK, batch, length: 17, resets: true, id: 'attention-resets' }),
    blockCase({ config: WINDOW_BLOCK, batch, length: 17, id: 'attention-window' }),
    blockCase({
      config: WINDOW_BLOCK,
      batch,
      length: 9,
      initialState: true,
      resets: true,
      id: 'attention-window-resets',
    }),
    blockCase({ config: GLOBAL_BLOCK, batch, length: 17, id: 'attention-global' }),
    blockCase({ config: GLOBAL_BLOCK, batch, length: 9, resets: true, id: 'attention-global-resets' }),
  ];
}
