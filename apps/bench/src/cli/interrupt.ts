import process from 'node:process';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/**
 * Runs `body` with a signal that Ctrl-C aborts: `body` ends in its own time, with what it has. A second Ctrl-C ends the
 * process at once; handlers of its `exit` clean up then.
 */
export async function interruptible<T>(first: () => void, body: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const interruption = new AbortController();
  const interrupt = (): void => {
    if (interruption.signal.aborted) process.exit(INTERRUPTED);
    interruption.abort();
    first();
  };
  for (const signal of SIGNALS) process.on(signal, interrupt);
  try {
    return await body(interruption.signal);
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupt);
  }
}

/** The exit status of what was interrupted. */
export const INTERRUPTED = 130;
