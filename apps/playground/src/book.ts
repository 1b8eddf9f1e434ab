import type { WorkerLanguageModel } from '@mamba/lm/worker';
import example from './training/example.txt?raw';

/** A text of about so many tokens: the example of the page of trainings, over and over, and its first lines. */
export async function bookOf(lm: Pick<WorkerLanguageModel, 'encode'>, tokens: number): Promise<string> {
  const { length } = await lm.encode(example);
  const times = tokens / length;
  const lines = example.split(/(?<=\n)/);
  const rest = lines.slice(0, Math.round((times % 1) * lines.length));
  return example.repeat(Math.floor(times)) + rest.join('');
}
