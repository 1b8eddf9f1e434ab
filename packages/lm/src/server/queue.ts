import { checkSignal } from '../event-loop.ts';
import { ApiError } from './errors.ts';

/** One after the other, as many waiting as a limit says. */
export class Queue {
  readonly #maxWaiting: number;
  #running = 0;
  /** Those that are about to run among them. */
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting;
  }

  get full(): boolean {
    return this.#waiting >= this.#maxWaiting + 1 - this.#running;
  }

  /**
   * @throws ApiError 429 where the queue is full, what `act` throws, and MambaError `aborted` where the signal fires
   * before its turn.
   */
  async run<T>(signal: AbortSignal, act: () => Promise<T>): Promise<T> {
    if (this.full) throw queueFull();
    this.#waiting++;
    const before = this.#last;
    const turn = (async () => {
      await before;
      this.#waiting--;
      checkSignal('serve', signal);
      this.#running++;
      try {
        return await act();
      } finally {
        this.#running--;
      }
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
