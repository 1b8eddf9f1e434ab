/** The page that a run in Node opens in a browser: it passes requests on to a worker, and responses back. */
import type { RunnerRequest, RunnerResponse } from '../src/runner/messages.ts';

const worker = new Worker(new URL('./runner-worker.ts', import.meta.url), { type: 'module' });
const pending = new Map<number, (response: RunnerResponse) => void>();

worker.addEventListener('message', ({ data }: MessageEvent<RunnerResponse>) => {
  pending.get(data.id)?.(data);
  pending.delete(data.id);
});
worker.addEventListener('error', ({ message }) => {
  for (const [id, resolve] of pending) resolve({ id, error: { message: message || 'the worker failed' } });
  pending.clear();
});

Object.assign(globalThis, {
  callRunner: (request: RunnerRequest) =>
    new Promise<RunnerResponse>((resolve) => {
      pending.set(request.id, resolve);
      worker.postMessage(request);
    }),
});
