import type { Model, ModelState } from '@mamba/core';
import { yieldToEventLoop } from '@mamba/core/toolkit';
import { checkSignal } from '../check-signal.ts';
import { describeToken, type GeneratedToken } from '../generate/decoder/sequence.ts';
import type { PrefixCache } from '../generate/prefix-cache.ts';

/** Tokens computed at once; bounds memory, since each has logits for the whole vocabulary. */
const CHUNK = 32;

export interface PromptLogProbOptions {
  readonly topLogProbs: number;
  /** Receives the state before the last id, from which a generation with the same prompt starts. */
  readonly prefixCache: PrefixCache | undefined;
  readonly signal: AbortSignal;
}

/**
 * The log-probability of each id but the first, given those before it, with the likeliest tokens at its position.
 * @throws MambaError `aborted`, and what the backend throws. After an error nothing is left on the backend.
 */
export async function promptLogProbs(
  model: Model,
  ids: readonly number[],
  { topLogProbs, prefixCache, signal }: PromptLogProbOptions,
): Promise<readonly GeneratedToken[]> {
  const { vocabSize } = model.config;
  const scored: GeneratedToken[] = [];
  let state: ModelState | undefined;
  try {
    for (let start = 0; start < ids.length - 1; start += CHUNK) {
      checkSignal('generate', signal);
      const part = ids.slice(start, Math.min(start + CHUNK, ids.length - 1));
      const step = model.forward([part], {
        state,
        donateState: state !== undefined,
        logits: 'all',
        chunk: part.length,
      });
      state = step.state;
      const logits = await readAndFree(model, step.logits!);
      for (const index of part.keys()) {
        const row = logits.subarray(index * vocabSize, (index + 1) * vocabSize);
        scored.push(describeToken(row, ids[start + index + 1]!, { logProbs: true, topLogProbs }));
      }
      await yieldToEventLoop();
    }
    if (state !== undefined) prefixCache?.insert(ids.slice(0, -1), state);
    return scored;
  } finally {
    state?.dispose();
  }
}

async function readAndFree(
  { backend }: Model,
  tensor: Parameters<Model['backend']['read']>[0],
): Promise<Float32Array | Float64Array> {
  try {
    return (await backend.read(tensor)) as Float32Array | Float64Array;
  } finally {
    tensor.dispose();
  }
}
