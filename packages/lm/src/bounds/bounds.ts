import { MambaError } from '@mamba/core';

/** Of work that may never end. */
export interface Bounds {
  /** What it is the work of, for messages. */
  readonly origin: string;
  readonly milliseconds: number;
  readonly remedy: string;
  /**
   * Ctrl-C ends it at once where somebody listens, and comes to them. A signal that came just before may be lost (Node
   * takes its listeners away meanwhile), so that this is for long work alone.
   */
  readonly interruptible?: boolean;
}

/** Hears of such work as it begins; calls what it gives back as the work ends. */
export type BoundsWatcher = (bounds: Bounds) => () => void;

/** The error of work that took too long. */
export function outOfTime({ origin, milliseconds, remedy }: Bounds, cause?: unknown): MambaError {
  return new MambaError('invalid-file', `${origin} cannot be used`, {
    origin,
    given: `no end after ${Math.ceil(milliseconds)} ms`,
    expected: 'an end by then',
    remedy,
    cause,
  });
}
