import type { Model } from '@mamba/core';
import { type LogProbOptions, logProbs } from './log-probs.ts';

/** The tokens of a text, with the log-probability of each. */
export interface Score {
  readonly ids: readonly number[];
  /** `[ids - 1]`, in nats: the log-probability of each id but the first, given those before it. */
  readonly logProbs: Float64Array;
}

/** Collects what `logProbs` gives for one sequence. @throws MambaError as `logProbs` does. */
export async function scoreIds(model: Model, ids: readonly number[], options: LogProbOptions): Promise<Score> {
  const values = new Float64Array(Math.max(ids.length - 1, 0));
  let done = 0;
  for await (const part of logProbs(model, [ids], options)) {
    values.set(part, done);
    done += part.length;
  }
  return { ids, logProbs: values };
}
