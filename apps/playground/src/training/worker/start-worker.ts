import { Caller } from '../../worker/caller.ts';
import type { Calls } from './protocol.ts';

/** Starts a worker of the training page, which the caller ends. */
export function startWorker(): Caller<Calls> {
  return new Caller(new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' }));
}
