import { invalid, MambaError, type Model } from '@mamba/core';
import { checkInteger, checkOptions } from '@mamba/core/toolkit';
import { Batch, checkBatchable } from './batch.ts';
import type { GeneratedToken } from './decoder/sequence.ts';
import { checkPrompt, type FinishReason } from './generate.ts';
import { type GenerateTokensOptions, type Generation, resolveGeneration } from './options.ts';

/** Tokens of a prompt that takes longer to read than most answers take as a whole. */
const LONG_PROMPT = 1024;

export interface BatcherOptions {
  /** Sequences that run at once. Default 8. */
  readonly maxRows?: number | undefined;
  /** Sequences that may wait for a place. Default: any number. */
  readonly maxWaiting?: number | undefined;
}

/**
 * Runs concurrent generations in one batch, so that each read of the weights serves all of them: give it to
 * `lm.generate` as `batcher`. They join between tokens, and leave as they finish or are left; what one does is not seen
 * by the others.
 */
export class Batcher {
  readonly model: Model;
  readonly maxRows: number;
  readonly maxWaiting: number;
  #waiting: Request[] = [];
  #batch: Batch<Request> | undefined;
  #running: Promise<void> | undefined;
  #disposed = false;

  constructor(owner: Model | { readonly model: Model }, options: BatcherOptions = {}) {
    checkOptions('Batcher', options, ['maxRows', 'maxWaiting']);
    const { maxRows = 8, maxWaiting = Number.MAX_SAFE_INTEGER } = options;
    checkInteger('Batcher.maxRows', maxRows, 1);
    checkInteger('Batcher.maxWaiting', maxWaiting, 0);
    this.model = 'model' in owner ? owner.model : owner;
    this.maxRows = maxRows;
    this.maxWaiting = maxWaiting;
  }

  /** Sequences that run now, and that wait. */
  get load(): { readonly running: number; readonly waiting: number } {
    return { running: this.#batch?.entries.length ?? 0, waiting: this.#waiting.length };
  }

  /** Whether another one would find a place, or may wait for one. */
  get full(): boolean {
    const { running, waiting } = this.load;
    return waiting >= this.maxWaiting + Math.max(0, this.maxRows - running);
  }

  /**
   * As `generateTokens`. It takes its place at once, and is computed ahead of its reader.
   * @throws MambaError also `unavailable` where the queue is full.
   */
  generateTokens(
    prompt: ArrayLike<number>,
    options: GenerateTokensOptions = {},
  ): AsyncGenerator<GeneratedToken, FinishReason, void> {
    const generation = resolveGeneration(this.model, options);
    checkBatchable(generation);
    return this.#consume(checkPrompt(prompt, this.model), generation);
  }

  /** Ends all of them with `aborted`; resolves when their states are freed. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    const error = new MambaError('aborted', 'the batcher was disposed', { origin: 'Batcher' });
    for (const request of [...this.#waiting, ...(this.#batch?.entries ?? [])]) request.fail(error);
    await this.#running;
  }

  async *#consume(
    prompt: readonly number[],
    generation: Generation,
  ): AsyncGenerator<GeneratedToken, FinishReason, void> {
    if (this.#disposed) throw new MambaError('disposed', 'the batcher was disposed', { origin: 'Batcher' });
    if (this.full)
      throw new MambaError('unavailable', 'the queue is full', {
        origin: 'Batcher',
        given: `${this.load.waiting} waiting`,
        expected: `at most ${this.maxWaiting}`,
        remedy: 'Try again later.',
      });
    const request = new Request(prompt, generation);
    this.#waiting.push(request);
    this.#running ??= this.#run();
    try {
      return yield* request.tokens();
    } finally {
      request.end();
      // Its state is freed before the reader goes on.
      await request.released;
    }
  }

  /** Lives as long as there is something to do. */
  async #run(): Promise<void> {
    // A caller's place is taken now; those of the same turn begin together.
    await Promise.resolve();
    const batch = new Batch<Request>(this.model);
    this.#batch = batch;
    try {
      for (;;) {
        this.#sweep(batch);
        this.#admit(batch);
        if (batch.entries.length === 0 && this.#waiting.length === 0) return;
        const { steps, failed } = await batch.advance();
        for (const { entry, error } of failed) drop(entry, error);
        for (const { entry, tokens, finishReason, error } of steps) {
          entry.push(tokens);
          if (error !== undefined) entry.failBehind(error);
          if (finishReason === undefined) continue;
          entry.finish(finishReason);
          entry.release();
        }
      }
    } catch (error) {
      for (const request of [...this.#waiting, ...batch.entries]) request.fail(error);
    } finally {
      // With the decision to end, so that no request can come in between and wait for ever.
      this.#running = undefined;
      this.#batch = undefined;
      const held = [...this.#waiting, ...batch.entries];
      this.#waiting = [];
      batch.dispose();
      for (const request of held) request.release();
    }
  }

  /** In their order, but that at most half of the rows are taken by long prompts: the others wait for each other. */
  #admit(batch: Batch<Request>): void {
    let places = this.maxRows - batch.entries.length;
    let long = Math.ceil(this.maxRows / 2) - batch.countUnread(LONG_PROMPT);
    this.#waiting = this.#waiting.filter((request) => {
      const isLong = request.prompt.length > LONG_PROMPT;
      if (places <= 0 || (isLong && long <= 0)) return true;
      places--;
      if (isLong) long--;
      this.#add(batch, request);
      return false;
    });
  }

  #add(batch: Batch<Request>, request: Request): void {
    try {
      batch.add(request);
    } catch (error) {
      drop(request, error);
    }
  }

  /** Lets go of those that ended from outside. */
  #sweep(batch: Batch<Request>): void {
    const gone = [...this.#waiting, ...batch.entries].filter(({ ended }) => ended);
    this.#waiting = this.#waiting.filter(({ ended }) => !ended);
    batch.leave(gone);
    for (const request of gone) request.release();
  }
}

function drop(request: Request, error: unknown): void {
  request.fail(error);
  request.release();
}

/** One generation's side of the batch, and its reader's. */
class Request {
  readonly prompt: readonly number[];
  readonly generation: Generation;
  /** Resolves when the batch holds nothing of it any more. */
  readonly released: Promise<void>;
  #ended = false;
  #release!: () => void;
  #tokens: GeneratedToken[] = [];
  #outcome: { readonly reason: FinishReason } | { readonly error: unknown; readonly behind: boolean } | undefined;
  #wake: () => void = () => {};

  constructor(prompt: readonly number[], generation: Generation) {
    this.prompt = prompt;
    this.generation = generation;
    this.released = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  /** Nothing more is to be computed for it. */
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

  fail(error: unknown): void {
    this.#outcome ??= { error, behind: false };
    this.end();
  }

  /** Fails where the reader has had what was generated before. */
  failBehind(error: unknown): void {
    this.#outcome ??= { error, behind: true };
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
        if (failure !== undefined && !(failure.behind && this.#tokens.length > 0)) throw failure.error;
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

export function checkBatcher(batcher: Batcher, model: Model): void {
  if (!(batcher instanceof Batcher)) throw invalid('generate.batcher', String(batcher), 'a Batcher');
  if (batcher.model !== model) throw invalid('generate.batcher', "another model's batcher", "this model's");
}
