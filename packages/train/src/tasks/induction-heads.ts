import { checkInteger } from '@mamba/core/toolkit';
import type { Task } from './task.ts';

/**
 * Induction heads (arXiv 2312.00752, section 4.1.2, after 2209.11895): random tokens, among them one special token,
 * which comes again at the end; the answer is the token after its first place. The length counts all tokens.
 * @param vocabSize The last token of the vocabulary is the special one. Default 16.
 */
export function inductionHeads({ vocabSize = 16 }: { readonly vocabSize?: number | undefined } = {}): Task {
  checkInteger('inductionHeads.vocabSize', vocabSize, 2, 2 ** 24);
  const special = vocabSize - 1;
  return {
    ...{ name: 'induction-heads', vocabSize, least: 3 },
    draw(random, length) {
      const ids = Int32Array.from({ length }, () => random.integer(special));
      const place = random.integer(length - 2);
      ids[place] = special;
      ids[length - 1] = special;
      return { ids, answers: Int32Array.of(ids[place + 1]!) };
    },
  };
}
