import { invalid, type Model, type ModelState, type Tensor } from '@mamba/core';
import { yieldToEventLoop } from '@mamba/core/toolkit';
import { checkSignal } from '../check-signal.ts';
import { notFinite } from '../generate/not-finite.ts';

/** How a text is scored. */
export interface LogProbOptions {
  /** The state before the first id; zero if absent. It is not changed. */
  readonly state?: ModelState | undefined;
  /**
   * Resets the state to zero after every so many tokens; absent means never. Every token but the very first is
   * predicted in either case: the first of a window is predicted by the last of the window before.
   */
  readonly window?: number | undefined;
  /** Tokens computed at once; bounds memory, since each has logits for the whole vocabulary. Default 128. */
  readonly chunk?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Log-probabilities, in nats, of every id but the first, given those before it. Yields one array for each chunk, in
 * constant memory.
 * @param ids The sequence, in parts of any lengths.
 * @throws MambaError `invalid-argument`, `aborted`, `not-finite` if the logits are not finite, and what the backend
 * throws. Nothing is left on the backend after an error or a `break`.
 */
export async function* logProbs(
  model: Model,
  ids: AsyncIterable<ArrayLike<number>> | Iterable<ArrayLike<number>>,
  options: LogProbOptions = {},
): AsyncGenerator<Float32Array | Float64Array, void, void> {
  const { window = Number.MAX_SAFE_INTEGER, chunk = 128, signal } = options;
  for (const [name, value] of Object.entries({ window, chunk }))
    if (!Number.isSafeInteger(value) || value < 1)
      throw invalid(`score.${name}`, String(value), 'an integer of at least 1');

  let waiting: number[] = [];
  let position = 0;
  let state: ModelState | undefined;
  const next = (): number => Math.min(chunk, window - (position % window));
  /** Feeds `count` of the waiting ids, and scores the id after each. */
  const advance = async (start: number, count: number): Promise<Float32Array | Float64Array> => {
    checkSignal('score', signal);
    if (position > 0 && position % window === 0) {
      state?.dispose();
      state = undefined;
    }
    const inputs = waiting.slice(start, start + count);
    const targets = waiting.slice(start + 1, start + count + 1);
    const scored = logProbsOf(model, inputs, targets, state, position === 0 ? options.state : undefined, chunk);
    state = scored.state;
    position += count;
    try {
      const [values, likeliest] = await Promise.all([
        model.backend.read(scored.values),
        model.backend.read(scored.likeliest),
      ]);
      if (likeliest.includes(-1) || !values.every(Number.isFinite))
        throw await notFinite({ model, ids: inputs, state });
      return values as Float32Array | Float64Array;
    } finally {
      scored.values.dispose();
      scored.likeliest.dispose();
    }
  };
  try {
    for await (const piece of ids) {
      let start = 0;
      for (let index = 0; index < piece.length; index++) waiting.push(checkId(model, piece[index]!));
      for (let count = next(); waiting.length - start > count; count = next()) {
        yield await advance(start, count);
        start += count;
        await yieldToEventLoop();
      }
      waiting = waiting.slice(start);
    }
    for (let start = 0; waiting.length - start > 1; ) {
      const count = Math.min(next(), waiting.length - 1 - start);
      yield await advance(start, count);
      start += count;
      await yieldToEventLoop();
    }
  } finally {
    state?.dispose();
  }
}

/** Checks a target before it is stored in an Int32Array, which would round or wrap it. */
function checkId({ config }: Model, id: number): number {
  if (Number.isSafeInteger(id) && id >= 0 && id < config.vocabSize) return id;
  throw invalid('score.ids', String(id), `ids from 0 to ${config.vocabSize - 1}`);
}

interface Scored {
  /** `[1, targets]`: log-probabilities. */
  readonly values: Tensor;
  /** `[1, targets]`: -1 where any logit is not finite, which the target's own value may not show. */
  readonly likeliest: Tensor;
  readonly state: ModelState;
}

/** @param own The state to donate. @param given The caller's state, used if there is no own one. */
function logProbsOf(
  model: Model,
  inputs: readonly number[],
  targets: readonly number[],
  own: ModelState | undefined,
  given: ModelState | undefined,
  chunk: number,
): Scored {
  const { backend } = model;
  const ids = backend.upload({ dtype: 'int32', shape: [1, targets.length], data: Int32Array.from(targets) });
  try {
    const { logits, state } = model.forward([inputs], {
      state: own ?? given,
      donateState: own !== undefined,
      logits: 'all',
      chunk,
    });
    let values: Tensor | undefined;
    try {
      values = backend.logProb(logits!, ids);
      return { values, likeliest: backend.argmax(logits!, { checked: true }), state };
    } catch (error) {
      values?.dispose();
      state.dispose();
      throw error;
    } finally {
      logits!.dispose();
    }
  } finally {
    ids.dispose();
  }
}
