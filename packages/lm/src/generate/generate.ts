import { invalid, type Model } from '@mamba/core';
import { checkIds } from '../check.ts';
import { checkSignal, yieldToEventLoop } from '../event-loop.ts';
import { Decoder, type GeneratedToken, newRow, type Position } from './decoder.ts';
import { type GenerateTokensOptions, type Generation, resolveGeneration } from './options.ts';
import { prefill } from './prefill.ts';
import { SpeculativeDecoder } from './speculative.ts';

/** `length`: as many tokens as were allowed. `stop`: at a stop id or a stop string. */
export type FinishReason = 'length' | 'stop';

/**
 * Generates after a prompt of at least one id; gives tokens as they come, and returns why it ended. Sampling is on the
 * device where the options allow. The state and everything else that it made are freed on every way out, a `break` from
 * the loop included.
 * @throws MambaError `invalid-argument` at once, or while generating `aborted` where the signal fires, `not-finite`
 * where the model gives no numbers, `disposed`, `foreign`, `out-of-memory`, `device-lost`.
 */
export function generateTokens(
  model: Model,
  prompt: ArrayLike<number>,
  options: GenerateTokensOptions = {},
): AsyncGenerator<GeneratedToken, FinishReason, void> {
  const generation = resolveGeneration(model, options);
  const ids = checkPrompt(prompt, model);
  return generation.draft === undefined ? plain(model, ids, generation) : speculative(model, ids, generation);
}

/** At least one id, all of the vocabulary. */
export function checkPrompt(prompt: ArrayLike<number>, { config }: Model): number[] {
  const ids = checkIds('generate.prompt', prompt, config.vocabSize);
  if (ids.length === 0) throw invalid('generate.prompt', 'no tokens', 'at least one id');
  return ids;
}

/**
 * Goes on from a position, whose state is only borrowed.
 * @param previous What the penalties see: at least the pending ids.
 * @param settle Called once, however it ends, with the position after the tokens that were given; its state is the
 * callee's where it is `owned`, and the borrowed one otherwise. Not called where reading the pending ids failed: then
 * nothing has changed.
 */
export async function* continueFrom(
  model: Model,
  { state, pending }: Position,
  previous: readonly number[],
  generation: Generation,
  settle: ((end: Position & { readonly owned: boolean }) => void) | undefined,
): AsyncGenerator<GeneratedToken, FinishReason, void> {
  const { maxTokens, stopIds, block, chunk, signal } = generation;
  checkSignal('generate', signal);
  const before = pending.slice(0, -1);
  const read = before.length > 0 ? await prefill(model, before, { state, chunk, signal }) : undefined;
  const options = { borrowed: read === undefined, keeps: settle !== undefined };
  const decoder = new Decoder(model, [newRow(generation, previous)], read ?? state, options);
  let given = 0;
  try {
    for (let done = 0; done < maxTokens; ) {
      checkSignal('generate', signal);
      const [drawn] = await decoder.advance(Math.min(block, maxTokens - done));
      given = 0;
      for (const token of drawn!.tokens) {
        if (stopIds.has(token.id)) return 'stop';
        given++;
        yield token;
      }
      if (drawn!.broken !== undefined) throw await decoder.explain(0, drawn!.broken);
      done += drawn!.tokens.length;
      await yieldToEventLoop();
    }
    return 'length';
  } finally {
    if (settle !== undefined) settle(decoder.settle(given));
    decoder.dispose();
  }
}

async function* plain(
  model: Model,
  prompt: readonly number[],
  generation: Generation,
): AsyncGenerator<GeneratedToken, FinishReason, void> {
  const { prefixCache: cache, chunk, signal, state } = generation;
  if (cache === undefined) return yield* continueFrom(model, { state, pending: prompt }, prompt, generation, undefined);
  const read = await readThrough(model, prompt.slice(0, -1), { cache, chunk, signal });
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

/** The state after `ids`, from the longest prefix that the cache has; every chunk of the rest is kept. */
export async function readThrough(
  model: Model,
  ids: readonly number[],
  { cache, chunk, signal }: Pick<Generation, 'chunk' | 'signal'> & { cache: NonNullable<Generation['prefixCache']> },
) {
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

/** Notes each id before it is given, so that whoever hears of the end knows them all. */
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

async function* speculative(
  model: Model,
  prompt: readonly number[],
  generation: Generation,
): AsyncGenerator<GeneratedToken, FinishReason, void> {
  const { maxTokens, stopIds, chunk, signal, prefixCache: cache } = generation;
  const draft = generation.draft!;
  checkSignal('generate', signal);
  const before = prompt.slice(0, -1);
  const read = (reader: Model): Promise<Position['state']> =>
    before.length > 0 ? prefill(reader, before, { chunk, signal }) : Promise.resolve(undefined);
  const state = await (cache === undefined ? read(model) : readThrough(model, before, { cache, chunk, signal }));
  let draftState: Position['state'];
  try {
    draftState = await read(draft.model);
  } catch (error) {
    state?.dispose();
    throw error;
  }
  const row = newRow(generation, prompt);
  const decoder = new SpeculativeDecoder(model, row, state, { ...draft, state: draftState });
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
      const { state: end } = decoder.position;
      if (end !== undefined) cache?.insert(ids.slice(0, -1), end);
    } finally {
      decoder.dispose();
    }
  }
}
