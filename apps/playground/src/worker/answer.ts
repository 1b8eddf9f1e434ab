import type { WorkerPort } from '@mamba/lm/worker';
import { type CallTable, type Request, type Response, toPlainError } from './calls.ts';

export type Methods<C extends CallTable<C>> = {
  readonly [K in keyof C]: (argument: C[K][0], emit: (event: C[K][2]) => void) => C[K][1] | Promise<C[K][1]>;
};

/** Answers the calls of the page, in a worker. Bytes are handed over, not copied. */
export function answerCalls<C extends CallTable<C>>(methods: Methods<C>): void {
  const scope = self as unknown as WorkerPort;
  const send = (response: Response, transfer: ArrayBuffer[] = []): void => scope.postMessage(response, transfer);
  const answer = async ({ id, method, argument }: Request): Promise<void> => {
    try {
      const called = methods[method as keyof C] as (argument: unknown, emit: (event: unknown) => void) => unknown;
      const value = await called(argument, (event) => send({ id, event }));
      send({ id, value }, value instanceof Uint8Array ? [value.buffer as ArrayBuffer] : []);
    } catch (error) {
      send({ id, error: toPlainError(error) });
    }
  };
  scope.addEventListener('message', (event) => void answer((event as MessageEvent<Request>).data));
}
