import { once } from 'node:events';
import type { Server, ServerResponse } from 'node:http';

/** Time for clients to read the end of their answers after requests were aborted. */
const FLUSH_MS = 250;

/**
 * Closes a server within `graceMs` (or `FLUSH_MS`, if that is longer), whatever clients do not send or read. Running
 * requests may finish, then `abort` ends them, and finally their connections are closed.
 */
export async function shutDown(
  server: Server,
  running: ReadonlySet<ServerResponse>,
  { graceMs, abort }: { readonly graceMs: number; readonly abort: () => void },
): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  const ended = allEnded(running);
  if (!(await within(ended, Math.max(0, graceMs - FLUSH_MS)))) {
    abort();
    await within(ended, FLUSH_MS);
  }
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
