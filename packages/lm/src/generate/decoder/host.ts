import type { Model } from '@mamba/core';
import { distribution, draw } from '../../sampling/sample-logits.ts';
import { allFinite } from '../not-finite.ts';
import { describeToken, type GeneratedToken, type Sequence } from './sequence.ts';
import { type Advance, type BatchState, lastIds, NOT_FINITE, readResult } from './strategy.ts';

/** Generates one token for each sequence: reads the logits, and samples on the host, by any options. */
export async function decodeOnHost(
  model: Model,
  sequences: readonly Sequence[],
  { state, donate }: BatchState,
): Promise<Advance> {
  const result = model.forward(lastIds(sequences), { state, donateState: donate });
  const logits = result.logits!;
  return readResult(result.state, [logits], async () => {
    const values = (await model.backend.read(logits)) as Float32Array | Float64Array;
    const { vocabSize } = model.config;
    return sequences.map((sequence, row) => [
      chooseOnHost(values.subarray(row * vocabSize, (row + 1) * vocabSize), sequence),
    ]);
  });
}

/** Samples by the sequence's options, and counts the token for its penalties. @param logits `[vocabSize]` */
function chooseOnHost(logits: Float32Array | Float64Array, sequence: Sequence): GeneratedToken {
  if (!allFinite(logits)) return { id: NOT_FINITE, logProb: undefined, topLogProbs: undefined };
  const { sampling, uniform, window } = sequence;
  const id = draw(distribution(logits, sampling, window), uniform?.() ?? 0);
  window?.push(id);
  return describeToken(logits, id, sequence);
}
