/** What the suites are called, and what each of them tells, for somebody who sees a report for the first time. */
import type { SuiteName } from '../cases/contract.ts';

export interface SuiteWords {
  readonly heading: string;
  /** One sentence: what a reader learns from its figures. */
  readonly tells: string;
}

const WORDS: Readonly<Record<SuiteName, SuiteWords>> = {
  scan: {
    heading: 'Selective scan',
    tells: 'Tells whether the time of the recurrence, the heart of Mamba, grows no faster than the text.',
  },
  conv: { heading: 'Causal convolution', tells: 'Tells what the short filter in front of the scan costs.' },
  linear: {
    heading: 'Matrix products',
    tells: 'Tells how near the largest part of a model’s work comes to what this machine can do.',
  },
  block: { heading: 'One block', tells: 'Tells what one of a model’s layers takes, with all its operations together.' },
  model: {
    heading: 'Whole model',
    tells: 'Tells how fast a model of 130 million parameters reads a prompt and writes, and what memory it takes.',
  },
  batch: {
    heading: 'Decode in batches',
    tells: 'Tells how many more tokens come when several texts are written at once.',
  },
  context: {
    heading: 'Long context',
    tells: 'Tells whether a token takes the same time and the same memory, however much was read before it.',
  },
  quantised: {
    heading: 'Weights in fewer bits',
    tells: 'Tells what smaller weights gain in speed, and what they cost in accuracy.',
  },
  small: {
    heading: 'Small operations',
    tells: 'Tells what norms, sums and gates cost, which move much memory for little arithmetic.',
  },
  train: {
    heading: 'Training',
    tells: 'Tells how fast a model learns here, and how the memory of a step grows with the text.',
  },
  peers: {
    heading: 'Beside other projects',
    tells: 'Tells how other software does on the same weights, in turns with ours.',
  },
};

/** The words of a suite; a suite that this version does not know has its own name, and nothing to tell. */
export function wordsOf(suite: string): SuiteWords {
  return (WORDS as Readonly<Record<string, SuiteWords>>)[suite] ?? { heading: suite, tells: '' };
}
