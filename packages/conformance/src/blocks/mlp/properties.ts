import fc from 'fast-check';
import { blockCase } from '../../cases/block.ts';
import type { Case } from '../../cases/case.ts';
import { extent, flag, seeds } from '../../properties/arbitraries.ts';

export function mlpDraws(): fc.Arbitrary<Case> {
  const config = fc.record({
    kind: fc.constant('mlp' as const),
    dModel: extent(20),
    dHidden: extent(40),
    activation: fc.constantFrom('silu' as const, 'gelu' as const, 'gelu-tanh' as const, 'relu2' as const),
    gated: flag,
    bias: flag,
  });
  return fc.record({ config, batch: extent(3), length: extent(12), seed: seeds }).map(blockCase);
}
