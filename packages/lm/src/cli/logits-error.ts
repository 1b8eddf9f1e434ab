import { type Backend, createModel, type ModelConfig, type ParameterSource } from '@mamba/core';
import { notFinite } from '../generate/not-finite.ts';
import { logSumExp } from '../sampling/log-softmax.ts';
import { argmax } from '../sampling/sample-logits.ts';

/** The difference of one model's logits from another's, over all positions of a prompt. */
export interface LogitsError {
  readonly positions: number;
  /** The largest absolute difference. */
  readonly maxAbsolute: number;
  /** RMS of the differences divided by the RMS of the reference. */
  readonly relativeRms: number;
  /** Mean Kullback-Leibler divergence of the predictions from the reference's, in nats. */
  readonly divergence: number;
  /** Share of positions whose likeliest token is the same. */
  readonly sameTop: number;
}

/**
 * Logits `[positions, vocabSize]` of a checkpoint in the backend's precision. Loads the model and frees it again.
 * @param who Names the weights in errors.
 * @throws MambaError `not-finite`, and what loading throws.
 */
export async function logitsOf(
  backend: Backend,
  { config, source }: { readonly config: ModelConfig; readonly source: ParameterSource },
  ids: readonly number[],
  signal: AbortSignal,
  who: string,
): Promise<ArrayLike<number>> {
  const model = await createModel(backend, config, source, { signal });
  try {
    const { logits, state } = model.forward([ids], { logits: 'all' });
    try {
      const values = (await backend.read(logits!)) as Float32Array | Float64Array;
      if (!values.every(Number.isFinite)) throw await notFinite({ model, ids, state: undefined, who });
      return values;
    } finally {
      logits!.dispose();
      state.dispose();
    }
  } finally {
    model.dispose();
  }
}

/** @param reference `[positions, vocabSize]`, as `other`. */
export function compareLogits(reference: ArrayLike<number>, other: ArrayLike<number>, vocabSize: number): LogitsError {
  const positions = reference.length / vocabSize;
  let maxAbsolute = 0;
  let squares = 0;
  let total = 0;
  let divergence = 0;
  let same = 0;
  for (let position = 0; position < positions; position++) {
    const row = (logits: ArrayLike<number>): Float64Array =>
      Float64Array.from({ length: vocabSize }, (_, id) => logits[position * vocabSize + id]!);
    const [p, q] = [row(reference), row(other)];
    const [sumP, sumQ] = [logSumExp(p), logSumExp(q)];
    for (let id = 0; id < vocabSize; id++) {
      const difference = p[id]! - q[id]!;
      maxAbsolute = Math.max(maxAbsolute, Math.abs(difference));
      squares += difference ** 2;
      total += p[id]! ** 2;
      divergence += Math.exp(p[id]! - sumP) * (difference - sumP + sumQ);
    }
    if (argmax(p) === argmax(q)) same++;
  }
  return {
    ...{ positions, maxAbsolute, relativeRms: Math.sqrt(squares / total) },
    ...{ divergence: divergence / positions, sameTop: same / positions },
  };
}
