import { MambaError } from '@mamba/core';
import type { WorkerSession } from '@mamba/lm/worker';
import { Branch } from '../branch.ts';
import { type LoadedModel, openModel, type Progress } from '../model.ts';

/** The shipped model, which all sections share. It is loaded when the first of them needs it. */
export class SharedModel {
  progress: Progress | undefined;
  loaded: LoadedModel | undefined;
  readonly #changed: () => void;
  #loading: Promise<LoadedModel> | undefined;
  /** The session that the model came with, for the first branch. */
  #first: WorkerSession | undefined;

  /** @param changed Called after every change. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /**
   * Waits for the model. Where the wait is stopped the load goes on, for the other sections.
   * @throws the error of the load, after which the next call tries again; MambaError `aborted`.
   */
  load(signal: AbortSignal): Promise<LoadedModel> {
    this.#loading ??= this.#load();
    return unlessStopped(this.#loading, signal);
  }

  /** A new branch that has read nothing. @throws as `load`. */
  async begin(name: string, signal: AbortSignal): Promise<Branch> {
    const { lm } = await this.load(signal);
    const first = this.#first;
    this.#first = undefined;
    return new Branch(1, name, first ?? (await lm.createSession()));
  }

  async #load(): Promise<LoadedModel> {
    try {
      const { model, session } = await openModel(
        { kind: 'shipped' },
        {
          // It is small, so that a GPU would take longer to compile its kernels than this takes to write.
          backend: 'cpu',
          weights: 'float32',
          onProgress: (progress) => {
            this.progress = progress;
            this.#changed();
          },
        },
      );
      this.loaded = model;
      this.#first = session;
      return model;
    } catch (error) {
      this.#loading = undefined;
      throw error;
    } finally {
      this.progress = undefined;
      this.#changed();
    }
  }
}

/** @throws MambaError `aborted` where the signal comes before the result. */
async function unlessStopped<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = (): void => {};
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(new MambaError('aborted', 'the model was no longer waited for', { origin: 'showcase' }));
  });
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop);
  try {
    return await Promise.race([result, stopped]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
