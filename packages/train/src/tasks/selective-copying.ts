import { checkInteger } from '@mamba/core/toolkit';
import type { Task } from './task.ts';

/** The sizes of the task of selective copying (arXiv 2312.00752, section 3.1). */
export interface SelectiveCopyingOptions {
  /** Token 0 is noise, token 1 the marker, and the others are data. Default 16. */
  readonly vocabSize?: number | undefined;
  /** Number of data tokens of a sequence. Default 16. */
  readonly tokens?: number | undefined;
}

/**
 * Selective copying (arXiv 2312.00752, section 4.1.1): data tokens at random places among noise, and then as many
 * markers; the answers are the data in order, at the markers. The length counts what comes before the markers.
 */
export function selectiveCopying({ vocabSize = 16, tokens = 16 }: SelectiveCopyingOptions = {}): Task {
  checkInteger('selectiveCopying.vocabSize', vocabSize, 3, 2 ** 24);
  checkInteger('selectiveCopying.tokens', tokens, 1, 2 ** 20);
  return {
    ...{ name: 'selective-copying', vocabSize, least: tokens },
    draw(random, length) {
      const ids = new Int32Array(length + tokens);
      const answers = new Int32Array(tokens);
      let placed = 0;
      // Each place is taken with the chance that leaves every choice of places equally likely.
      for (let place = 0; placed < tokens; place++) {
        if (random.uniform() * (length - place) >= tokens - placed) continue;
        const token = 2 + random.integer(vocabSize - 2);
        ids[place] = token;
        answers[placed++] = token;
      }
      ids.fill(1, length);
      return { ids, answers };
    },
  };
}
