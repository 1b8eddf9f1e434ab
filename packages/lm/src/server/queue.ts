import { ApiError } from './errors.ts';

/** One after the other, as many waiting as a limit says. */
export class Queue {
  readonly #maxWaiting: number;
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting;
  }

  get full(): boolean {
    return this.#waiting > this.#maxWaiting;
  }

  /** @throws ApiError 429 where the queue is full, what `act` throws, and the signal's reason where it fires before its turn. */
  async run<T>(signal: AbortSignal, act: () => Promise<T>): Promise<T> {
    if (this.full) throw queueFull();
    this.#waiting++;
    const before = this.#last;
    const turn = (async () => {
      await before;
      this.#waiting--;
      signal.throwIfAborted();
      return act();
    })();
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** Resolves when all that came have ended. */
  async idle(): Promise<void> {
    await this.#last;
  }
}

export function queueFull(): ApiError {
  const message = 'Too many requests are waiting. Try again later.';
  return new ApiError(429, 'rate_limit_error', message, null, 'rate_limit_exceeded');
}
