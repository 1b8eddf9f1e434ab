/** A page that a run in Node drives: it passes questions on to a worker, and answers back. */
import type { Answer, Ask } from '../src/seat/messages.ts';

const worker = new Worker(new URL('./seat-worker.ts', import.meta.url), { type: 'module' });
const waiting = new Map<number, (answer: Answer) => void>();

worker.addEventListener('message', ({ data }: MessageEvent<Answer>) => {
  waiting.get(data.id)?.(data);
  waiting.delete(data.id);
});
worker.addEventListener('error', ({ message }) => {
  for (const [id, resolve] of waiting) resolve({ id, error: { message: message || 'the worker failed' } });
  waiting.clear();
});

Object.assign(globalThis, {
  askSeat: (ask: Ask) =>
    new Promise<Answer>((resolve) => {
      waiting.set(ask.id, resolve);
      worker.postMessage(ask);
    }),
});
