import { modelConfig } from '@mamba/core';
import type { Case } from '../cases/case.ts';
import { modelCase } from '../cases/model.ts';
import {
  BIASED_MODEL,
  FALCON_MODEL,
  MIXED_MODEL,
  SCALED_MODEL,
  SMALL_MODEL,
  smallModel,
  TIED_MODEL,
} from './shapes.ts';

export function modelSuite(): readonly Case[] {
  const config = SMALL_MODEL;
  return [
    ...[1, 2, 3, 17, 129].map((length) => modelCase({ config, batch: 2, length, id: `len${length}` })),
    modelCase({ config: TIED_MODEL, batch: 2, length: 17, id: 'tied' }),
    modelCase({ config: BIASED_MODEL, batch: 2, length: 17, id: 'biased' }),
    modelCase({ config: FALCON_MODEL, batch: 2, length: 17, id: 'falcon' }),
    modelCase({ config, batch: 3, length: 17, resets: true, id: 'resets' }),
    modelCase({ config, batch: 2, length: 17, logits: 'last', id: 'last-logits' }),
    modelCase({ config, batch: 2, length: 17, logits: 'none', id: 'no-logits' }),
    modelCase({ config, batch: 2, length: 17, logits: 'last', hiddenStates: false, id: 'last-logits-only' }),
    modelCase({ config, batch: 2, length: 17, chunk: 5, id: 'chunk5' }),
    modelCase({ config, batch: 2, length: 17, chunk: 5, resets: true, logits: 'last', id: 'chunk5-resets' }),
    modelCase({ config, batch: 2, length: 17, composed: true, id: 'composed' }),
    // Norms without an eps take rows of any magnitude, in prompts, in a step, and in a step after a prompt.
    ...[1e-25, 1e20].flatMap((magnitude) =>
      [1, 17].map((length) =>
        modelCase({
          config: smallModel({ normEps: 0, mixerNormEps: 0 }),
          batch: 2,
          length,
          chunk: 16,
          magnitude,
          id: `of-${magnitude}-len${length}`,
        }),
      ),
    ),
    modelCase({ config: smallModel({ convBias: false }), batch: 2, length: 9, id: 'no-conv-bias' }),
    modelCase({
      config: smallModel({ mixerNormEps: 1e-6, mixerNormWeights: true }),
      batch: 2,
      length: 17,
      id: 'jamba',
    }),
    ...[1, 17].map((length) => modelCase({ config: MIXED_MODEL, batch: 2, length, id: `mixed-len${length}` })),
    modelCase({ config: MIXED_MODEL, batch: 3, length: 17, resets: true, chunk: 5, id: 'mixed-chunk5-resets' }),
    modelCase({ config: MIXED_MODEL, batch: 2, length: 9, composed: true, id: 'mixed-composed' }),
    modelCase({ config: SCALED_MODEL, batch: 2, length: 9, id: 'scaled' }),
    modelCase({
      config: modelConfig({ ...SCALED_MODEL, positions: 9 }),
      batch: 2,
      length: 9,
      chunk: 4,
      id: 'positions',
    }),
    modelCase({
      config: modelConfig({ layers: 3, dModel: 32, vocabSize: 101 }),
      batch: 1,
      length: 33,
      id: 'usual',
    }),
  ];
}
