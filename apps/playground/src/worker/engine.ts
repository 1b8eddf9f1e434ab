import { connectLanguageModels, type WorkerConnection } from '@mamba/lm/worker';
import type { BackendName, BackendReport, Calls, Request, Response } from './protocol.ts';

/** A worker with one backend, seen from the page. */
export class Engine {
  readonly backend: BackendName;
  readonly connection: WorkerConnection;
  /** Whether nothing more can be computed, since the device is gone or the worker was ended. */
  lost = false;
  readonly #worker: PlaygroundWorker;

  private constructor(worker: PlaygroundWorker, backend: BackendName, connection: WorkerConnection) {
    this.backend = backend;
    this.connection = connection;
    this.#worker = worker;
  }

  static async start(backend: BackendName): Promise<Engine> {
    const worker = new PlaygroundWorker();
    const { port1, port2 } = new MessageChannel();
    try {
      await worker.call('serve', { backend, port: port2 }, [port2]);
      return new Engine(worker, backend, connectLanguageModels(port1));
    } catch (error) {
      worker.end();
      throw error;
    }
  }

  /** Ends the worker, and rejects the requests that still wait. */
  end(): void {
    this.lost = true;
    this.connection.close();
    this.#worker.end();
  }
}

/**
 * Finds the backends that run here, and the reasons why others do not, in a worker of its own that ends with the
 * answer.
 */
export async function probeBackends(): Promise<readonly BackendReport[]> {
  const worker = new PlaygroundWorker();
  try {
    return await worker.call('probe', undefined);
  } finally {
    worker.end();
  }
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

const NOT_LOADED = 'The worker cannot be loaded. Check the connection, and load the page again.';

class PlaygroundWorker {
  readonly #worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #failure: Error | undefined;

  constructor() {
    this.#worker.addEventListener('message', ({ data }: MessageEvent<Response>) => {
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if ('error' in data) waiting?.reject(new Error(data.error));
      else waiting?.resolve(data.value);
    });
    // The error event of a script that could not be loaded has no message.
    this.#worker.addEventListener('error', ({ message = '' }) =>
      this.#fail(message === '' ? NOT_LOADED : `The worker failed: ${message}`),
    );
  }

  call<K extends keyof Calls>(
    method: K,
    argument: Calls[K][0],
    transfer: readonly Transferable[] = [],
  ): Promise<Calls[K][1]> {
    return new Promise<Calls[K][1]>((resolve, reject) => {
      if (this.#failure !== undefined) throw this.#failure;
      const id = this.#nextId++;
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject });
      this.#worker.postMessage({ id, method, argument } as Request, [...transfer]);
    });
  }

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
