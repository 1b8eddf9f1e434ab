/** The entry of a process that runs a contender for a run in another one. It ends with its parent. */
import process from 'node:process';
import type { Ask } from './messages.ts';
import { createServer } from './serve.ts';

const answer = createServer();
// Ctrl-C reaches all processes of a terminal: it is the parent's to decide.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit());
process.on('message', async (ask: Ask) => {
  const reply = await answer(ask);
  if (process.connected) process.send!(reply);
});
