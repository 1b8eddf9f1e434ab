import { once } from 'node:events';
import type { Server, ServerResponse } from 'node:http';

/** What clients get to take the end of their answers in, where the grace has run out. */
const FLUSH_MS = 250;

/**
 * Ends a server in at most `graceMs` (or the moment above, where that is longer), whatever clients hold back or do not
 * read: running requests may finish, then they are ended by `abort`, and at last their connections are.
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

/** New ones may come while others end: connections that are open already may go on asking. */
async function allEnded(running: ReadonlySet<ServerResponse>): Promise<void> {
  while (running.size > 0) await Promise.all([...running].map((response) => once(response, 'close')));
}

/** Whether it comes about in time. */
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
