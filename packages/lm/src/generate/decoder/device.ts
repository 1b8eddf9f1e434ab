import type { Model } from '@mamba/core';
import type { GeneratedToken, Sequence } from './sequence.ts';
import { type Advance, type BatchState, deviceFilter, lastIds, readResult, uploadUniforms } from './strategy.ts';

/**
 * Generates `count` tokens for each sequence with the model's own decode loop. All sequences must have the same filter,
 * sampled on the device, and request no log-probabilities.
 */
export async function decodeOnDevice(
  model: Model,
  sequences: readonly Sequence[],
  { state, donate }: BatchState,
  count: number,
): Promise<Advance> {
  const uniform = uploadUniforms(model, sequences, count);
  try {
    const result = model.decode(lastIds(sequences), state, {
      count,
      donateState: donate,
      ...(uniform && { ...deviceFilter(sequences[0]!.sampling), uniform }),
    });
    return await readResult(result.state, [result.ids], async () => {
      const ids = await model.backend.read(result.ids);
      return sequences.map((_, row) => tokensOf(ids.subarray(row * count, (row + 1) * count)));
    });
  } finally {
    uniform?.dispose();
  }
}

function tokensOf(ids: ArrayLike<number>): readonly GeneratedToken[] {
  return Array.from(ids, (id) => ({ id, logProb: undefined, topLogProbs: undefined }));
}
