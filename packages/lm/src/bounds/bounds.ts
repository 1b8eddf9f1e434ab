import { MambaError } from '@mamba/core';

/** A time limit for code of a checkpoint: a pattern or a template, which may never end. */
export interface Bounds {
  /** The file that the code comes from, for messages. */
  readonly origin: string;
  readonly milliseconds: number;
  readonly remedy: string;
  /**
   * SIGINT ends the code at once if the process has a listener for it, which is then called. Node removes the listeners
   * while the code runs, so that a signal just before may be lost: set this for long work only.
   */
  readonly interruptible?: boolean;
}

/** Called when bounded code begins; returns a function that is called when it ends. */
export type BoundsWatcher = (bounds: Bounds) => () => void;

/** The error for code that exceeded its time limit. */
export function outOfTime({ origin, milliseconds, remedy }: Bounds, cause?: unknown): MambaError {
  return new MambaError('invalid-file', `${origin} cannot be used`, {
    origin,
    given: `no end after ${Math.ceil(milliseconds)} ms`,
    expected: 'an end by then',
    remedy,
    cause,
  });
}
