import type { WorkerLanguageModel } from '@mamba/lm/worker';
import example from './training/example.txt?raw';

/** A text of about so many tokens: the example of the page of trainings, over and over. */
export async function bookOf(lm: WorkerLanguageModel, tokens: number): Promise<string> {
  const { length } = await lm.encode(example);
  return example.repeat(Math.max(1, Math.round(tokens / length)));
}
