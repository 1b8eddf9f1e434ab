import { lshAttention } from '../reformer/lsh-attention.ts';
import { numberOf } from './attention.ts';
import type { GoldenComposition } from './composition.ts';

export const goldenReformer: GoldenComposition = {
  required: ['q', 'v', 'rotations'],
  compute: (backend, { q, v, rotations }, given) => ({
    ...lshAttention(backend, q!, v!, rotations!, {
      chunk: numberOf(given, 'chunk_size'),
      scale: numberOf(given, 'scale'),
    }),
  }),
};
