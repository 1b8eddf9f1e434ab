import { checkSignal } from '../check-signal.ts';
import { ApiError } from './errors.ts';

/** Runs jobs one after the other, with a limit for waiting ones. */
export class Queue {
  readonly #maxWaiting: number;
  #running = 0;
  /** Includes the job that is about to run. */
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting;
  }

  /** Whether another job would be refused. */
  get full(): boolean {
    return this.#waiting >= this.#maxWaiting + 1 - this.#running;
  }

  /**
   * Runs `act` after all earlier jobs.
   * @throws ApiError 429 if the queue is full, MambaError `aborted` if the signal fires before the job runs, and what
   * `act` throws.
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

  /** Resolves when all jobs have ended. */
  async idle(): Promise<void> {
    await this.#last;
  }
}

export function queueFull(): ApiError {
  const message = 'Too many requests are waiting. Try again later.';
  return new ApiError(429, 'rate_limit_error', message, null, 'rate_limit_exceeded');
}
