import type { Model, ModelState } from '@mamba/core';
import { checkSignal, yieldToEventLoop } from '../event-loop.ts';
import { describeToken, type GeneratedToken } from '../generate/decoder/sequence.ts';
import type { PrefixCache } from '../generate/prefix-cache.ts';

/** Tokens computed at once: each has logits for the whole vocabulary. */
const CHUNK = 32;

export interface PromptLogProbOptions {
  readonly topLogProbs: number;
  /** Gets the state before the last id, from which the prompt can be gone on with. */
  readonly prefixCache: PrefixCache | undefined;
  readonly signal: AbortSignal;
}

/**
 * What the model thought of each id but the first, given those before it.
 * @throws MambaError `aborted`, and what the model throws; nothing is leaked then.
 */
export async function promptLogProbs(
  model: Model,
  ids: readonly number[],
  { topLogProbs, prefixCache, signal }: PromptLogProbOptions,
): Promise<readonly GeneratedToken[]> {
  const { vocabSize } = model.config;
  const told: GeneratedToken[] = [];
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
        told.push(describeToken(row, ids[start + index + 1]!, { logProbs: true, topLogProbs }));
      }
      await yieldToEventLoop();
    }
    if (state !== undefined) prefixCache?.insert(ids.slice(0, -1), state);
    return told;
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
