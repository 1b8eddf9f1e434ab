import { blockCase } from '../../cases/block.ts';
import type { Case } from '../../cases/case.ts';
import { GELU_BLOCK, SWIGLU_BLOCK } from './shapes.ts';

export function mlpCases(): readonly Case[] {
  return [
    ...[1, 2, 17].map((length) => blockCase({ config: SWIGLU_BLOCK, batch: 2, length, id: `swiglu-len${length}` })),
    blockCase({ config: GELU_BLOCK, batch: 2, length: 17, id: 'gelu-tanh' }),
    ...(['gelu', 'relu2', 'silu'] as const).map((activation) =>
      blockCase({ config: { ...GELU_BLOCK, activation, bias: false }, batch: 2, length: 9, id: `mlp-${activation}` }),
    ),
  ];
}
