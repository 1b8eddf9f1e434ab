import type { HostTensor, Model, ModelState, Tensor } from '@mamba/core';
import { invalid } from '@mamba/core/driver';
import { checkSignal, yieldToEventLoop } from '../event-loop.ts';
import { randomSeed, uniformNumbers } from './random.ts';

export interface SamplingOptions {
  /** Divides the logits; 0, the default, takes the likeliest token each time. */
  readonly temperature?: number | undefined;
  /** Keep the k likeliest tokens. Wants a temperature, as do topP and minP. */
  readonly topK?: number | undefined;
  /** Keep the fewest tokens whose probability reaches topP. */
  readonly topP?: number | undefined;
  /** Drop tokens less likely than minP times the likeliest. */
  readonly minP?: number | undefined;
  /** An integer: the same one gives the same tokens on one backend. Default: random. */
  readonly seed?: number | undefined;
}

export interface GenerateIdsOptions extends SamplingOptions {
  /** Tokens to generate at most. Default 256. */
  readonly maxTokens?: number | undefined;
  /** Generation ends where one of these is drawn, without giving it. Default: none. */
  readonly stopIds?: readonly number[] | undefined;
  /** What came before the prompt; zero if absent. It is left as it was. */
  readonly state?: ModelState | undefined;
  /** Tokens of the prompt that are fed at once: bounds the memory of a long one. Default 256. */
  readonly chunk?: number | undefined;
  /** Tokens that are generated before one is given: fewer waits for the device, later text. Default 4. */
  readonly block?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type FinishReason = 'length' | 'stop';

/**
 * Generates after a prompt of at least one id; gives ids as they come, and returns why it ended. Sampling happens on the device. The
 * state and everything else that it made are freed on every way out, a `break` from the loop included.
 * @throws MambaError `invalid-argument` at once (options) or while generating (ids outside the vocabulary), `aborted` where the
 * signal fires, `disposed`, `out-of-memory`, `device-lost`.
 */
export function generateIds(
  model: Model,
  prompt: ArrayLike<number>,
  options: GenerateIdsOptions = {},
): AsyncGenerator<number, FinishReason, void> {
  if (!(prompt?.length > 0)) throw invalid('generate.prompt', 'no tokens', 'at least one id');
  return run(model, prompt, checkOptions(options));
}

/**
 * Feeds tokens in chunks, waiting for each, so that memory is constant in length, and other work and the signal get their turn.
 * @returns the state after them, the caller's to dispose; the given one is left as it was.
 */
export async function prefill(
  model: Model,
  ids: ArrayLike<number>,
  options: Pick<GenerateIdsOptions, 'state' | 'chunk' | 'signal'> & {
    readonly onProgress?: ((fed: number, total: number) => void) | undefined;
  } = {},
): Promise<ModelState> {
  const { state, chunk = 256, signal, onProgress } = options;
  checkCount('prefill.chunk', chunk);
  let current: ModelState | undefined;
  try {
    for (let start = 0; start < ids.length; start += chunk) {
      checkSignal('prefill', signal);
      const part = Array.prototype.slice.call(ids, start, start + chunk) as number[];
      current = model.forward([part], {
        state: current ?? state,
        donateState: current !== undefined,
        logits: 'none',
        chunk,
      }).state;
      await model.backend.synchronize();
      await yieldToEventLoop();
      onProgress?.(Math.min(start + chunk, ids.length), ids.length);
    }
    if (current === undefined) throw invalid('prefill.ids', 'no tokens', 'at least one id');
    return current;
  } catch (error) {
    current?.dispose();
    throw error;
  }
}

type Checked = ReturnType<typeof checkOptions>;

async function* run(
  model: Model,
  prompt: ArrayLike<number>,
  options: Checked,
): AsyncGenerator<number, FinishReason, void> {
  const { maxTokens, stopIds, block, chunk, signal, draw, filter } = options;
  checkSignal('generate', signal);
  const before = Array.prototype.slice.call(prompt, 0, -1) as number[];
  // The state that is ours; the caller's is read until there is one.
  let state = before.length > 0 ? await prefill(model, before, { state: options.state, chunk, signal }) : undefined;
  try {
    let last = prompt[prompt.length - 1]!;
    for (let done = 0; done < maxTokens; ) {
      checkSignal('generate', signal);
      const count = Math.min(block, maxTokens - done);
      const uniform = draw && model.backend.upload(uniformTensor(count, draw));
      let ids: Tensor | undefined;
      try {
        const result = model.decode([[last]], state ?? options.state, {
          count,
          donateState: state !== undefined,
          ...(uniform && { ...filter, uniform }),
        });
        ({ ids, state } = result);
        const drawn = await model.backend.read(ids);
        for (const id of drawn) {
          if (stopIds.has(id)) return 'stop';
          yield id;
          last = id;
        }
      } finally {
        uniform?.dispose();
        ids?.dispose();
      }
      done += count;
      await yieldToEventLoop();
    }
    return 'length';
  } finally {
    state?.dispose();
  }
}

function uniformTensor(count: number, draw: () => number): HostTensor {
  return { dtype: 'float64', shape: [1, count], data: Float64Array.from({ length: count }, draw) };
}

function checkOptions(options: GenerateIdsOptions) {
  const { temperature = 0, topK, topP, minP, seed, maxTokens = 256, stopIds = [], chunk = 256, block = 4 } = options;
  checkCount('generate.maxTokens', maxTokens);
  checkCount('generate.chunk', chunk);
  checkCount('generate.block', block);
  if (!(typeof temperature === 'number' && temperature >= 0 && temperature < Number.POSITIVE_INFINITY))
    throw invalid('generate.temperature', String(temperature), 'a number of at least 0');
  if (seed !== undefined && !Number.isSafeInteger(seed)) throw invalid('generate.seed', String(seed), 'an integer');
  for (const [name, value] of Object.entries({ topK, topP, minP })) {
    if (value === undefined) continue;
    const whole = name === 'topK';
    if (!(whole ? Number.isSafeInteger(value) && value >= 1 : value >= 0 && value <= 1))
      throw invalid(`generate.${name}`, String(value), whole ? 'an integer of at least 1' : 'a number from 0 to 1');
    if (temperature === 0)
      throw invalid(`generate.${name}`, 'a filter for sampling at temperature 0', 'a temperature above 0 with it');
  }
  return {
    ...{ maxTokens, chunk, block, state: options.state, signal: options.signal },
    stopIds: new Set(stopIds),
    filter: { temperature, topK, topP, minP },
    draw: temperature === 0 ? undefined : uniformNumbers(seed ?? randomSeed()),
  };
}

function checkCount(origin: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) throw invalid(origin, String(value), 'an integer of at least 1');
}
