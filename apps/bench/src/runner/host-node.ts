/** The entry of a process that serves a runner to its parent. It ends with its parent. */
import process from 'node:process';
import type { RunnerRequest } from './messages.ts';
import { createServer } from './serve.ts';

const serve = createServer();
// Ctrl-C reaches all processes of a terminal; the parent decides what it does.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit());
process.on('message', async (request: RunnerRequest) => {
  const response = await serve(request);
  if (process.connected) process.send!(response);
});
