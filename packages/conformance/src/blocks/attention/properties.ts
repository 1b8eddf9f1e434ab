import fc from 'fast-check';
import { blockCase } from '../../cases/block.ts';
import type { Case } from '../../cases/case.ts';
import { extent, flag, seeds } from '../../properties/arbitraries.ts';

/**
 * Draws blocks with heads of 4 to 7 channels. The cases of attention have heads of other widths; a GPU compiles kernels
 * for each.
 */
export function attentionDraws(): fc.Arbitrary<Case> {
  const pairs = fc.constantFrom(2, 3);
  const config = fc
    .record({ kvHeads: extent(3), group: extent(3), pairs, odd: flag, dModel: extent(20), roped: flag })
    .chain(({ kvHeads, group, pairs, odd, dModel, roped }) =>
      fc.record({
        kind: fc.constant('attention' as const),
        dModel: fc.constant(dModel),
        heads: fc.constant(kvHeads * group),
        kvHeads: fc.constant(kvHeads),
        headDim: fc.constant(2 * pairs + Number(odd)),
        rope: roped
          ? fc.record({ rotaryDim: extent(pairs).map((count) => 2 * count), interleaved: flag })
          : fc.constant(undefined),
        window: fc.option(extent(6), { nil: undefined }),
        bias: flag,
        outBias: flag,
        qkNormEps: fc.constantFrom(undefined, 1e-5),
      }),
    );
  const shape = { batch: extent(3), length: extent(12), seed: seeds, initialState: flag, resets: flag };
  return fc.record({ config, ...shape }).map(blockCase);
}
