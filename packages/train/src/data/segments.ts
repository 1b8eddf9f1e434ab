import { invalid } from '@mamba/core';
import { checkInteger } from '@mamba/core/toolkit';
import { type BatchSource, checkState, countIn, rowsOf } from './batches.ts';
import type { Corpus } from './corpus.ts';
import type { WindowOptions } from './windows.ts';

/**
 * The corpus in order, for sequences longer than a step: it is cut into as many lanes as a batch has rows, and each
 * batch holds the next segment of every lane. The state is carried from batch to batch, so that the forward pass is
 * exact and the backward pass is truncated at segments. What is left of a lane after its last whole segment is left
 * out, and then every lane begins again.
 * @throws MambaError `invalid-argument` where a lane is shorter than a segment.
 */
export function segmentsInOrder(corpus: Corpus, { batch, length }: WindowOptions): BatchSource {
  checkInteger('segmentsInOrder.batch', batch, 1);
  checkInteger('segmentsInOrder.length', length, 1);
  const lane = Math.floor(corpus.tokens / batch);
  const segments = Math.floor(lane / length);
  if (segments === 0 || corpus.tokens < 2)
    throw invalid('segmentsInOrder.length', String(length), `at most ${lane}, the tokens of each of ${batch} lanes`);
  const identity = { kind: 'segments', tokens: corpus.tokens, batch, length };
  let next = 0;
  return {
    carries: true,
    async next() {
      const starts = Array.from({ length: batch }, (_, row) => row * lane + next * length);
      const continues = next > 0;
      next = (next + 1) % segments;
      return { ...(await rowsOf(corpus, starts, length)), continues };
    },
    state: () => ({ ...identity, next }),
    restore(state) {
      checkState('segmentsInOrder.restore', state, identity);
      next = countIn('segmentsInOrder.restore', state, 'next');
    },
  };
}
