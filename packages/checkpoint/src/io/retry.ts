import { isMambaError, MambaError } from '@mamba/core';
import { reasonOf } from '../errors.ts';

/** Waits so long, or until the signal fires; it never rejects. */
export type Wait = (milliseconds: number, signal?: AbortSignal) => Promise<void>;

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

/** The cause of an error that may not come again: a connection that was cut, a server that is busy. */
export class Transient extends Error {
  /** Milliseconds that the server asks to wait. */
  readonly after: number;

  constructor(cause: unknown, after = 0) {
    super(reasonOf(cause), { cause });
    this.after = after;
  }
}

export interface RetryOptions {
  readonly signal?: AbortSignal | undefined;
  /** Default: a timer. */
  readonly wait?: Wait | undefined;
  /** Default: 5. */
  readonly attempts?: number | undefined;
  /** How far it is: whoever gets further has all attempts again. */
  readonly progress?: (() => number) | undefined;
}

const ATTEMPTS = 5;
/** Each wait is twice as long as the one before. */
const FIRST_WAIT = 200;
/** Nobody waits longer than this for one answer. */
const LONGEST_WAIT = 120_000;

/**
 * Attempts something as often as its error has a Transient as its cause, with longer and longer waits between.
 * @throws MambaError that of the last attempt; `aborted`.
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
