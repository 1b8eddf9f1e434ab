import type { Backend, HostArray, HostTensor, Tensor } from '@mamba/core';

interface Disposable {
  dispose(): void;
}

/** Owns the tensors, states and models of one check, and frees them at its end. */
export class Arena {
  readonly backend: Backend;
  readonly #owned: Disposable[] = [];

  constructor(backend: Backend) {
    this.backend = backend;
  }

  own<T extends Disposable>(value: T): T {
    this.#owned.push(value);
    return value;
  }

  /** Adds every value of a result that can be disposed. */
  all<T extends object>(result: T): T {
    for (const value of Object.values(result)) if (isDisposable(value)) this.#owned.push(value);
    return result;
  }

  upload(host: HostTensor): Tensor {
    return this.own(this.backend.upload(host));
  }

  slice(x: Tensor, axis: number, start: number, end: number): Tensor {
    return this.own(this.backend.slice(x, axis, start, end));
  }

  concat(tensors: readonly Tensor[], axis: number): Tensor {
    return this.own(this.backend.concat(tensors, axis));
  }

  read(tensor: Tensor): Promise<HostArray> {
    return this.backend.read(tensor);
  }

  close(): void {
    for (const value of this.#owned.splice(0).reverse()) value.dispose();
  }
}

export async function withArena<R>(backend: Backend, body: (arena: Arena) => Promise<R>): Promise<R> {
  const arena = new Arena(backend);
  try {
    return await body(arena);
  } finally {
    arena.close();
  }
}

function isDisposable(value: unknown): value is Disposable {
  return typeof (value as Disposable | undefined)?.dispose === 'function';
}
