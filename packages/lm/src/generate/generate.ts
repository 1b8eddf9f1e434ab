import { invalid, type Model, type ModelState } from '@mamba/core';
import { yieldToEventLoop } from '@mamba/core/toolkit';
import { checkIds } from '../check.ts';
import { checkSignal } from '../check-signal.ts';
import { Decoder } from './decoder/decoder.ts';
import { type GeneratedToken, newSequence, type SequenceState } from './decoder/sequence.ts';
import { type GenerateTokensOptions, type Generation, resolveGeneration } from './options.ts';
import { CHUNK, prefill } from './prefill.ts';
import { SpeculativeDecoder } from './speculative.ts';

/** `length`: after `maxTokens` tokens. `stop`: at a stop id or a stop string. */
export type FinishReason = 'length' | 'stop';

/**
 * Generates after a prompt of at least one id: yields tokens as they come, and returns why it ended. Sampling runs on
 * the device if the options allow it. All state is freed when the generator ends, fails, or is left by `break`.
 * @throws MambaError `invalid-argument` at once; while generating `aborted` when the signal fires, `not-finite` if the
 * logits are not finite, `disposed`, `foreign`, `out-of-memory`, `device-lost`.
 */
export function generateTokens(
  model: Model,
  prompt: ArrayLike<number>,
  options: GenerateTokensOptions = {},
): AsyncGenerator<GeneratedToken, FinishReason, void> {
  const generation = resolveGeneration(model, options);
  const ids = checkPrompt(prompt, model);
  return generation.draft === undefined ? generateAlone(model, ids, generation) : speculate(model, ids, generation);
}

/** @throws MambaError `invalid-argument` unless there is at least one id, and all are of the vocabulary. */
export function checkPrompt(prompt: ArrayLike<number>, { config }: Model): number[] {
  const ids = checkIds('generate.prompt', prompt, config.vocabSize);
  if (ids.length === 0) throw invalid('generate.prompt', 'no tokens', 'at least one id');
  return ids;
}

/**
 * Continues a sequence. Its state is borrowed: it is neither changed nor disposed.
 * @param previous The ids that the penalties see: at least the pending ones.
 * @param settle Called once, however generation ends, with the sequence's state after the tokens that were yielded. If
 * `owned`, the model state is the callee's to dispose; otherwise it is the borrowed one. Not called if reading the
 * pending ids failed, since nothing has changed then.
 */
export async function* continueFrom(
  model: Model,
  { state, pending }: SequenceState,
  previous: readonly number[],
  generation: Generation,
  settle: ((end: SequenceState & { readonly owned: boolean }) => void) | undefined,
): AsyncGenerator<GeneratedToken, FinishReason, void> {
  const { maxTokens, stopIds, block, chunk, signal } = generation;
  checkSignal('generate', signal);
  const before = pending.slice(0, -1);
  const read = before.length > 0 ? await prefill(model, before, { state, chunk, signal }) : undefined;
  const options = { borrowed: read === undefined, keepsPrevious: settle !== undefined };
  const decoder = new Decoder(model, [newSequence(generation, previous)], read ?? state, options);
  let given = 0;
  try {
    for (let done = 0; done < maxTokens; ) {
      checkSignal('generate', signal);
      const [output] = await decoder.advance(Math.min(block, maxTokens - done));
      const { tokens, failedIds } = output!;
      given = 0;
      for (const token of tokens) {
        if (stopIds.has(token.id)) return 'stop';
        given++;
        yield token;
      }
      if (failedIds !== undefined) throw await decoder.explain(0, failedIds);
      done += tokens.length;
      await yieldToEventLoop();
    }
    return 'length';
  } finally {
    if (settle !== undefined) settle(decoder.settle(given));
    decoder.dispose();
  }
}

async function* generateAlone(
  model: Model,
  prompt: readonly number[],
  generation: Generation,
): AsyncGenerator<GeneratedToken, FinishReason, void> {
  const { prefixCache: cache, chunk, signal, state } = generation;
  if (cache === undefined) return yield* continueFrom(model, { state, pending: prompt }, prompt, generation, undefined);
  const read = await prefillThrough(model, prompt.slice(0, -1), { cache, chunk, signal });
  const ids = [...prompt];
  try {
    const tokens = continueFrom(model, { state: read, pending: prompt.slice(-1) }, prompt, generation, (end) => {
      try {
        if (end.state !== undefined) cache.insert(ids.slice(0, ids.length - end.pending.length), end.state);
      } finally {
        if (end.owned) end.state?.dispose();
      }
    });
    return yield* collecting(tokens, ids);
  } finally {
    read?.dispose();
  }
}

/**
 * The state after `ids`, read from the longest prefix in the cache; the state after each chunk is inserted. The caller
 * disposes it; undefined, which is zero, if there are no ids.
 */
async function prefillThrough(
  model: Model,
  ids: readonly number[],
  {
    cache,
    chunk = CHUNK,
    signal,
  }: Pick<Generation, 'chunk' | 'signal'> & { cache: NonNullable<Generation['prefixCache']> },
): Promise<ModelState | undefined> {
  const found = cache.lookup(ids);
  if (ids.length === (found?.length ?? 0)) return found?.state;
  try {
    const start = found?.length ?? 0;
    return await prefill(model, ids.slice(start), {
      ...{ state: found?.state, chunk, signal },
      onState: (state, fed) => cache.insert(ids.slice(0, start + fed), state),
    });
  } finally {
    found?.state.dispose();
  }
}

/** Appends each id to `ids` before it is yielded, so that `settle` finds them all there. */
export async function* collecting(
  tokens: AsyncGenerator<GeneratedToken, FinishReason, void>,
  ids: number[],
): AsyncGenerator<GeneratedToken, FinishReason, void> {
  try {
    for (;;) {
      const { done, value } = await tokens.next();
      if (done) return value;
      ids.push(value.id);
      yield value;
    }
  } finally {
    await tokens.return('stop');
  }
}

async function* speculate(
  model: Model,
  prompt: readonly number[],
  generation: Generation,
): AsyncGenerator<GeneratedToken, FinishReason, void> {
  const { maxTokens, stopIds, chunk, signal, prefixCache: cache } = generation;
  const draft = generation.draft!;
  checkSignal('generate', signal);
  const before = prompt.slice(0, -1);
  const read = (reader: Model): Promise<ModelState | undefined> =>
    before.length > 0 ? prefill(reader, before, { chunk, signal }) : Promise.resolve(undefined);
  const state = await (cache === undefined ? read(model) : prefillThrough(model, before, { cache, chunk, signal }));
  let draftState: ModelState | undefined;
  try {
    draftState = await read(draft.model);
  } catch (error) {
    state?.dispose();
    throw error;
  }
  const decoder = new SpeculativeDecoder(model, newSequence(generation, prompt), state, {
    ...draft,
    state: draftState,
  });
  const ids = [...prompt];
  try {
    for (let done = 0; done < maxTokens; ) {
      checkSignal('generate', signal);
      const tokens = await decoder.advance(maxTokens - done);
      ids.push(...tokens.map(({ id }) => id));
      for (const token of tokens) {
        if (stopIds.has(token.id)) return 'stop';
        yield token;
      }
      done += tokens.length;
      await yieldToEventLoop();
    }
    return 'length';
  } finally {
    try {
      if (decoder.state !== undefined) cache?.insert(ids.slice(0, -1), decoder.state);
    } finally {
      decoder.dispose();
    }
  }
}
