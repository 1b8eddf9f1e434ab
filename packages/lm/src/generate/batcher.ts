import { invalid, MambaError, type Model } from '@mamba/core';
import { checkInteger, checkOptions } from '@mamba/core/toolkit';
import type { GeneratedToken, SequenceState } from './decoder/sequence.ts';
import { checkPrompt, type FinishReason } from './generate.ts';
import { type GenerateTokensOptions, type Generation, resolveGeneration } from './options.ts';
import { type ContinuedSequence, checkBatchable, Scheduler } from './scheduler.ts';

/** Prompts of more tokens take longer to read than most answers take as a whole; only some may run at once. */
const LONG_PROMPT = 1024;

/** How many sequences a batcher runs, and how many may wait. */
export interface BatcherOptions {
  /** Most sequences that run at once. Default 8. */
  readonly maxRows?: number | undefined;
  /** Most sequences that wait to run. Default: no limit. */
  readonly maxWaiting?: number | undefined;
}

/**
 * Runs concurrent generations in one batch, so that each read of the weights serves all of them: pass it to
 * `lm.generate` as `batcher`. A generation joins between tokens, and leaves when it finishes or its reader stops; none
 * affects the others.
 */
export class Batcher {
  readonly model: Model;
  readonly maxRows: number;
  readonly maxWaiting: number;
  #waiting: QueuedRequest[] = [];
  #scheduler: Scheduler<QueuedRequest> | undefined;
  /** Settles when there is nothing left to do. */
  #loop: Promise<void> | undefined;
  #disposed = false;

  /**
   * @param owner The `Model` or `LanguageModel` that generates.
   * @throws MambaError `invalid-argument`
   */
  constructor(owner: Model | { readonly model: Model }, options: BatcherOptions = {}) {
    checkOptions('Batcher', options, ['maxRows', 'maxWaiting']);
    const { maxRows = 8, maxWaiting = Number.MAX_SAFE_INTEGER } = options;
    checkInteger('Batcher.maxRows', maxRows, 1);
    checkInteger('Batcher.maxWaiting', maxWaiting, 0);
    this.model = 'model' in owner ? owner.model : owner;
    this.maxRows = maxRows;
    this.maxWaiting = maxWaiting;
  }

  /** Number of sequences that run, and that wait. */
  get load(): { readonly running: number; readonly waiting: number } {
    return { running: this.#scheduler?.running.length ?? 0, waiting: this.#waiting.length };
  }

  /** Whether another request would be refused. */
  get full(): boolean {
    const { running, waiting } = this.load;
    return waiting >= this.maxWaiting + Math.max(0, this.maxRows - running);
  }

  /**
   * Generates like the function `generateTokens`. The request is queued at the first `next()`, and its tokens are then
   * computed ahead of the reader.
   * @throws MambaError as `generateTokens`, and `unavailable` if the queue is full.
   */
  generateTokens(
    prompt: ArrayLike<number>,
    options: GenerateTokensOptions = {},
  ): AsyncGenerator<GeneratedToken, FinishReason, void> {
    const generation = resolveGeneration(this.model, options);
    checkBatchable(generation);
    return this.#consume(checkPrompt(prompt, this.model), generation);
  }

  /**
   * @internal Continues a sequence in the batch; its state is borrowed until generation ends.
   * @param drawn Random numbers of the seed that the sequence has used so far.
   * @throws MambaError as `generateTokens`.
   */
  continueTokens(
    { state, pending }: SequenceState,
    sequence: ContinuedSequence,
    options: Omit<GenerateTokensOptions, 'state' | 'draft'>,
    drawn: number,
  ): AsyncGenerator<GeneratedToken, FinishReason, void> {
    const generation = resolveGeneration(this.model, { ...options, state });
    for (let count = 0; count < drawn; count++) generation.uniform?.();
    return this.#consume(checkPrompt(pending, this.model), generation, sequence);
  }

  /** Ends all generations with `aborted`; resolves when their states are freed. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    const error = new MambaError('aborted', 'the batcher was disposed', { origin: 'Batcher' });
    for (const request of [...this.#waiting, ...(this.#scheduler?.running ?? [])]) request.fail(error);
    await this.#loop;
  }

  async *#consume(
    prompt: readonly number[],
    generation: Generation,
    continued?: ContinuedSequence,
  ): AsyncGenerator<GeneratedToken, FinishReason, void> {
    if (this.#disposed) throw new MambaError('disposed', 'the batcher was disposed', { origin: 'Batcher' });
    if (this.full)
      throw new MambaError('unavailable', 'the queue is full', {
        origin: 'Batcher',
        given: `${this.load.waiting} waiting`,
        expected: `at most ${this.maxWaiting}`,
        remedy: 'Try again later.',
      });
    const request = new QueuedRequest(prompt, generation, continued);
    this.#waiting.push(request);
    this.#loop ??= this.#run();
    try {
      return yield* request.tokens();
    } finally {
      request.end();
      // The state is freed before the reader continues.
      await request.released;
    }
  }

  /** Steps the scheduler as long as requests run or wait. */
  async #run(): Promise<void> {
    // Requests of the same turn of the event loop start together.
    await Promise.resolve();
    const scheduler = new Scheduler<QueuedRequest>(this.model);
    this.#scheduler = scheduler;
    try {
      for (;;) {
        this.#removeEnded(scheduler);
        this.#admit(scheduler);
        if (scheduler.running.length === 0 && this.#waiting.length === 0) return;
        const { outputs, failed } = await scheduler.step();
        for (const { request, error } of failed) failAndRelease(request, error);
        for (const { request, tokens, finishReason, error } of outputs) {
          request.push(tokens);
          if (error !== undefined) request.failAfterTokens(error);
          if (finishReason === undefined) continue;
          request.finish(finishReason);
          request.release();
        }
      }
    } catch (error) {
      for (const request of [...this.#waiting, ...scheduler.running]) request.fail(error);
    } finally {
      // Cleared in the same turn in which the loop ends: a request that comes later starts a new loop.
      this.#loop = undefined;
      this.#scheduler = undefined;
      const left = [...this.#waiting, ...scheduler.running];
      this.#waiting = [];
      scheduler.dispose();
      for (const request of left) request.release();
    }
  }

  /** Admits waiting requests in order, but long prompts to at most half of the rows. */
  #admit(scheduler: Scheduler<QueuedRequest>): void {
    let free = this.maxRows - scheduler.running.length;
    let freeForLong = Math.ceil(this.maxRows / 2) - scheduler.countPrefills(LONG_PROMPT);
    this.#waiting = this.#waiting.filter((request) => {
      const isLong = request.prompt.length > LONG_PROMPT;
      if (free <= 0 || (isLong && freeForLong <= 0)) return true;
      free--;
      if (isLong) freeForLong--;
      try {
        scheduler.add(request);
      } catch (error) {
        failAndRelease(request, error);
      }
      return false;
    });
  }

  /** Removes requests that their readers, signals or errors ended. */
  #removeEnded(scheduler: Scheduler<QueuedRequest>): void {
    const ended = [...this.#waiting, ...scheduler.running].filter((request) => request.ended);
    this.#waiting = this.#waiting.filter((request) => !request.ended);
    scheduler.remove(ended);
    for (const request of ended) request.release();
  }
}

function failAndRelease(request: QueuedRequest, error: unknown): void {
  request.fail(error);
  request.release();
}

/** A request with the tokens that its reader has not taken yet. */
class QueuedRequest {
  readonly prompt: readonly number[];
  readonly generation: Generation;
  readonly continued: ContinuedSequence | undefined;
  /** Resolves when the scheduler holds nothing of the request any more. */
  readonly released: Promise<void>;
  #ended = false;
  #release!: () => void;
  #tokens: GeneratedToken[] = [];
  #outcome: { readonly reason: FinishReason } | { readonly error: unknown; readonly afterTokens: boolean } | undefined;
  #wake: () => void = () => {};

  constructor(prompt: readonly number[], generation: Generation, continued: ContinuedSequence | undefined) {
    this.prompt = prompt;
    this.generation = generation;
    this.continued = continued;
    this.released = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  /** Whether nothing more is to be computed for it. */
  get ended(): boolean {
    return this.#ended;
  }

  push(tokens: readonly GeneratedToken[]): void {
    this.#tokens.push(...tokens);
    this.#wake();
  }

  finish(reason: FinishReason): void {
    this.#outcome ??= { reason };
    this.end();
  }

  /** Fails at once: tokens that the reader has not taken are dropped. */
  fail(error: unknown): void {
    this.#outcome ??= { error, afterTokens: false };
    this.end();
  }

  /** Fails when the reader has taken all tokens. */
  failAfterTokens(error: unknown): void {
    this.#outcome ??= { error, afterTokens: true };
    this.end();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  release(): void {
    this.#release();
  }

  async *tokens(): AsyncGenerator<GeneratedToken, FinishReason, void> {
    const { signal } = this.generation;
    const abort = (): void => this.fail(abortedError(signal!));
    signal?.addEventListener('abort', abort);
    try {
      for (;;) {
        if (signal?.aborted) throw abortedError(signal);
        const failure = this.#outcome !== undefined && 'error' in this.#outcome ? this.#outcome : undefined;
        if (failure !== undefined && !(failure.afterTokens && this.#tokens.length > 0)) throw failure.error;
        const token = this.#tokens.shift();
        if (token !== undefined) {
          yield token;
          continue;
        }
        if (this.#outcome !== undefined && 'reason' in this.#outcome) return this.#outcome.reason;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }
}

function abortedError(signal: AbortSignal): MambaError {
  return new MambaError('aborted', 'generate was aborted', { origin: 'generate', cause: signal.reason });
}

/** @throws MambaError `invalid-argument` */
export function checkBatcher(batcher: Batcher, model: Model): void {
  if (!(batcher instanceof Batcher)) throw invalid('generate.batcher', String(batcher), 'a Batcher');
  if (batcher.model !== model) throw invalid('generate.batcher', "another model's batcher", "this model's");
}
