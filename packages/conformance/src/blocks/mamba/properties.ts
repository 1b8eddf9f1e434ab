import fc from 'fast-check';
import { blockCase } from '../../cases/block.ts';
import type { Case } from '../../cases/case.ts';
import { extent, flag, seeds } from '../../properties/arbitraries.ts';

export function mambaDraws(): fc.Arbitrary<Case> {
  const config = fc.record({
    dModel: extent(20),
    dInner: extent(30),
    dState: extent(17),
    dConv: fc.integer({ min: 2, max: 5 }),
    dtRank: extent(5),
    mixerNormEps: fc.constantFrom(undefined, 1e-6),
    mixerNormWeights: flag,
    projectionBias: flag,
    convBias: flag,
  });
  return fc
    .record({ config, batch: extent(3), length: extent(12), initialState: flag, resets: flag, seed: seeds })
    .map(blockCase);
}
