import { isMambaError, MambaError } from '@mamba/core';
import { reasonOf } from '../errors.ts';

/** Waits for a time, or until the signal is aborted. It never rejects. */
export type Wait = (milliseconds: number, signal?: AbortSignal) => Promise<void>;

/** Waits for so many milliseconds, or until the signal is aborted. It never rejects. */
export const wait: Wait = (milliseconds, signal) =>
  new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal?.addEventListener('abort', end);
  });

/** The cause of an error that may not happen again: a broken connection, a busy server. */
export class Transient extends Error {
  /** The waiting time that the server asks for, in milliseconds. */
  readonly after: number;

  constructor(cause: unknown, after = 0) {
    super(reasonOf(cause), { cause });
    this.after = after;
  }
}

/** How often `retry` tries, and how it waits. */
export interface RetryOptions {
  readonly signal?: AbortSignal | undefined;
  /** The function that waits. Default: a timer. */
  readonly wait?: Wait | undefined;
  /** Number of attempts. Default 5. */
  readonly attempts?: number | undefined;
  /** The progress so far. An attempt that makes progress resets the number of attempts. */
  readonly progress?: (() => number) | undefined;
}

const ATTEMPTS = 5;
/** The first waiting time in milliseconds. Each later one is twice as long. */
const FIRST_WAIT = 200;
/** The longest waiting time before one attempt, in milliseconds. */
const LONGEST_WAIT = 120_000;

/**
 * Repeats an action while it fails with a Transient as the cause, with longer and longer waits between.
 * @throws MambaError the error of the last attempt; `aborted`.
 */
export async function retry<T>(act: () => Promise<T>, options: RetryOptions = {}): Promise<T> {
  const { signal, wait: pause = wait, attempts = ATTEMPTS, progress = () => 0 } = options;
  for (let failures = 0; ; ) {
    const before = progress();
    try {
      return await act();
    } catch (error) {
      const transient = transientOf(error);
      failures = progress() > before ? 1 : failures + 1;
      if (transient === undefined || transient.after > LONGEST_WAIT || failures >= attempts || signal?.aborted)
        throw error;
      await pause(Math.max(transient.after, FIRST_WAIT * 2 ** (failures - 1)), signal);
      if (signal?.aborted) throw aborted((error as MambaError).origin ?? 'a request', signal.reason);
    }
  }
}

export function aborted(origin: string, cause: unknown): MambaError {
  return new MambaError('aborted', `reading ${origin} was aborted`, { origin, cause });
}

function transientOf(error: unknown): Transient | undefined {
  return isMambaError(error) && error.cause instanceof Transient ? error.cause : undefined;
}
