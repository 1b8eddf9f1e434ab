import { once } from 'node:events';
import type { Server, ServerResponse } from 'node:http';

/** Time for clients to read the end of their answers after requests were aborted. */
const FLUSH_MS = 250;

/** Time for sessions to be saved as far as they have come: for the step that runs, and for the store. */
const SAVE_MS = 5000;

export interface ShutDown {
  readonly graceMs: number;
  /** Ends running sessions after the tokens that they have given; resolves when they are saved. */
  readonly interrupt: () => Promise<void>;
  readonly abort: () => void;
}

/**
 * Closes a server within `graceMs` (or `FLUSH_MS`, if that is longer) and the time to save sessions, whatever clients
 * do not send or read. Running requests may finish, then sessions are interrupted, `abort` ends the others, and finally
 * their connections are closed. Until the end the server listens, so that new requests are answered.
 */
export async function shutDown(
  server: Server,
  running: ReadonlySet<ServerResponse>,
  { graceMs, interrupt, abort }: ShutDown,
): Promise<void> {
  server.closeIdleConnections();
  const ended = allEnded(running);
  if (!(await within(ended, Math.max(0, graceMs - FLUSH_MS)))) {
    await within(interrupt(), SAVE_MS);
    abort();
    await within(ended, FLUSH_MS);
  }
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

/** Resolves when no request runs. New ones may still come over connections that are already open. */
async function allEnded(running: ReadonlySet<ServerResponse>): Promise<void> {
  while (running.size > 0) await Promise.all([...running].map((response) => once(response, 'close')));
}

/** Whether the event happens in time. */
async function within(event: Promise<void>, milliseconds: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), milliseconds);
  });
  try {
    return await Promise.race([event.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
