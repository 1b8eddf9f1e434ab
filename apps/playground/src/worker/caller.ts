import { type CallTable, fromPlainError, type Response } from './calls.ts';

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly onEvent: ((event: unknown) => void) | undefined;
}

interface CallOptions<Event> {
  readonly transfer?: readonly Transferable[];
  readonly onEvent?: (event: Event) => void;
}

const NOT_LOADED = 'The worker cannot be loaded. Check the connection, and load the page again.';

/** The page's side of a worker, which it owns. */
export class Caller<C extends CallTable<C>> {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #failure: Error | undefined;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.addEventListener('message', ({ data }: MessageEvent<Response>) => {
      const waiting = this.#waiting.get(data.id);
      if ('event' in data) {
        waiting?.onEvent?.(data.event);
        return;
      }
      this.#waiting.delete(data.id);
      if ('error' in data) waiting?.reject(fromPlainError(data.error));
      else waiting?.resolve(data.value);
    });
    // The error event of a script that could not be loaded has no message.
    worker.addEventListener('error', ({ message = '' }) =>
      this.#fail(message === '' ? NOT_LOADED : `The worker failed: ${message}`),
    );
  }

  /** Rejects with the error of the worker, also where the worker cannot be loaded or was ended. */
  call<K extends keyof C>(
    method: K,
    argument: C[K][0],
    { transfer = [], onEvent }: CallOptions<C[K][2]> = {},
  ): Promise<C[K][1]> {
    return new Promise<C[K][1]>((resolve, reject) => {
      if (this.#failure !== undefined) throw this.#failure;
      const id = this.#nextId++;
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject, onEvent });
      this.#worker.postMessage({ id, method, argument }, [...transfer]);
    });
  }

  /** Ends the worker, which frees all that it holds, and rejects the calls that wait. */
  end(): void {
    this.#worker.terminate();
    this.#fail('The worker was ended.');
  }

  #fail(message: string): void {
    this.#failure ??= new Error(message);
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}
