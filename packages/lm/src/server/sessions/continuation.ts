import type { Batcher } from '../../generate/batcher.ts';
import type { GeneratedToken, SequenceState } from '../../generate/decoder/sequence.ts';
import type { FinishReason } from '../../generate/generate.ts';
import { type GeneratedPiece, makePieces, PieceMaker } from '../../generate/pieces.ts';
import type { PrefixCache } from '../../generate/prefix-cache.ts';
import { type GenerateOptions, splitOptions } from '../../generate/request.ts';
import type { ContinuedSequence, SequenceEnd } from '../../generate/scheduler.ts';
import type { LanguageModel } from '../../language-model.ts';
import { randomSeed } from '../../sampling/random.ts';
import { RECENT, type SessionState } from '../../session/state.ts';

export interface ContinuationOptions {
  readonly lm: LanguageModel;
  readonly batcher: Batcher;
  /** Where a new session may begin. */
  readonly prefixCache: PrefixCache | undefined;
  /** Ends the generation after the tokens that it has given by then. */
  readonly interrupt: AbortSignal;
}

/** A generation that continues a session in the batch. */
export interface Continuation {
  readonly pieces: AsyncGenerator<GeneratedPiece, void, void>;
  /** Whether it was ended before its time. */
  readonly interrupted: boolean;
  /** The session after it, to be disposed by the caller; undefined until the generation has finished. */
  readonly end: SessionState | undefined;
}

/**
 * Continues a session by `ids`, and then by generated tokens. A request without a seed goes on with the random numbers
 * of the one before it, so that an interrupted text is the one that it would have been.
 * @param state Borrowed until the pieces have ended.
 * @throws MambaError as `lm.generate`.
 */
export function continueSession(
  { lm, batcher, prefixCache, interrupt }: ContinuationOptions,
  state: SessionState,
  ids: readonly number[],
  options: Omit<GenerateOptions, 'prompt' | 'state' | 'prefixCache' | 'draft' | 'batcher'>,
): Continuation {
  const known = [...state.recent, ...ids];
  const { stops, tokens } = splitOptions(lm, options);
  const draws = (tokens.temperature ?? 0) > 0;
  const goesOn = tokens.seed === undefined ? state.random : undefined;
  const { seed, drawn } = goesOn ?? { seed: tokens.seed ?? randomSeed(), drawn: 0 };
  const { stop } = options;
  const unfinished = true;
  // The text is looked at as the tokens are made: the state cannot be truncated when the reader finds a stop string.
  const watcher =
    stop === undefined || stop.length === 0
      ? undefined
      : new PieceMaker({ tokenizer: lm.tokenizer, stops: splitOptions(lm, options).stops, before: known, unfinished });
  const sequence = new WatchedSequence(known, watcher, interrupt, (end, given) => {
    continuation.end = {
      ...end,
      recent: [...known, ...given].slice(-RECENT),
      length: state.length + ids.length + given.length,
      random: draws ? { seed, drawn: drawn + given.length } : state.random,
    };
  });
  const generated = batcher.continueTokens(
    { state: state.state, pending: [...state.pending, ...ids] },
    sequence,
    {
      ...{ ...tokens, ...(draws && { seed }) },
      // A session knows its last tokens only.
      ...(tokens.penaltyWindow !== undefined && { penaltyWindow: RECENT }),
      ...(state.length === 0 && prefixCache && { prefixCache }),
    },
    draws ? drawn : 0,
  );
  const maker = new PieceMaker({ tokenizer: lm.tokenizer, stops, before: known, unfinished });
  const continuation: { -readonly [K in keyof Continuation]: Continuation[K] } = {
    pieces: withoutEnd(makePieces(generated, maker), () => sequence.interrupted),
    end: undefined,
    get interrupted() {
      return sequence.interrupted;
    },
  };
  return continuation;
}

/** Drops the reason of the closing piece of an interrupted generation, which has no end yet. */
async function* withoutEnd(
  pieces: AsyncGenerator<GeneratedPiece, void, void>,
  interrupted: () => boolean,
): AsyncGenerator<GeneratedPiece, void, void> {
  for await (const piece of pieces) yield interrupted() ? { ...piece, finishReason: undefined } : piece;
}

class WatchedSequence implements ContinuedSequence {
  readonly previous: readonly number[];
  readonly #watcher: PieceMaker | undefined;
  readonly #interrupt: AbortSignal;
  readonly #settle: (end: SequenceState, given: readonly number[]) => void;
  readonly #given: number[] = [];
  #interrupted = false;

  constructor(
    previous: readonly number[],
    watcher: PieceMaker | undefined,
    interrupt: AbortSignal,
    settle: (end: SequenceState, given: readonly number[]) => void,
  ) {
    this.previous = previous;
    this.#watcher = watcher;
    this.#interrupt = interrupt;
    this.#settle = settle;
  }

  get interrupted(): boolean {
    return this.#interrupted;
  }

  endAfter(tokens: readonly GeneratedToken[], ended: FinishReason | undefined): SequenceEnd | undefined {
    for (const [index, token] of tokens.entries()) {
      this.#given.push(token.id);
      if (this.#watcher?.push(token).stopped) return { count: index + 1, reason: 'stop' };
    }
    if (ended !== undefined || !this.#interrupt.aborted) return undefined;
    this.#interrupted = true;
    return { count: tokens.length, reason: 'length' };
  }

  settle(end: SequenceState): void {
    this.#settle(end, this.#given);
  }
}
