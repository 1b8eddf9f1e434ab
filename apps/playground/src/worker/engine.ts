import { connectLanguageModels, type WorkerConnection } from '@mamba/lm/worker';
import { Caller } from './caller.ts';
import type { BackendName, BackendReport, Calls } from './protocol.ts';

/** A worker with one backend, seen from the page. */
export class Engine {
  readonly backend: BackendName;
  readonly connection: WorkerConnection;
  /** Whether nothing more can be computed, since the device is gone or the worker was ended. */
  lost = false;
  readonly #worker: Caller<Calls>;

  private constructor(worker: Caller<Calls>, backend: BackendName, connection: WorkerConnection) {
    this.backend = backend;
    this.connection = connection;
    this.#worker = worker;
  }

  static async start(backend: BackendName): Promise<Engine> {
    const worker = startWorker();
    const { port1, port2 } = new MessageChannel();
    try {
      await worker.call('serve', { backend, port: port2 }, { transfer: [port2] });
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
  const worker = startWorker();
  try {
    return await worker.call('probe', undefined);
  } finally {
    worker.end();
  }
}

function startWorker(): Caller<Calls> {
  return new Caller(new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' }));
}
