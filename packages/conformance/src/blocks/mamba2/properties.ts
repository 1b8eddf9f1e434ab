import fc from 'fast-check';
import { blockCase } from '../../cases/block.ts';
import type { Case } from '../../cases/case.ts';
import { extent, flag, seeds } from '../../properties/arbitraries.ts';

export function mamba2Draws(): fc.Arbitrary<Case> {
  const config = fc
    .record({
      kind: fc.constant('mamba2' as const),
      dModel: extent(20),
      headsOfGroup: extent(3),
      groups: extent(3),
      headDim: extent(9),
      dState: extent(17),
      dConv: fc.integer({ min: 2, max: 5 }),
      limits: fc.constantFrom({}, { dtMin: 0.004 }, { dtMax: 0.02 }, { dtMin: 0.004, dtMax: 0.02 }),
      gate: fc.constantFrom({ norm: false }, { norm: true }, { normEps: 1e-3 }, { normBeforeGate: true }),
      projectionBias: flag,
      convBias: flag,
    })
    .map(({ headsOfGroup, limits, gate, ...sizes }) => ({
      ...{ ...sizes, ...limits, ...gate },
      heads: headsOfGroup * sizes.groups,
    }));
  return fc
    .record({ config, batch: extent(3), length: extent(12), initialState: flag, resets: flag, seed: seeds })
    .map(blockCase);
}
