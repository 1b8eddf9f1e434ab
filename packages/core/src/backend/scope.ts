import type { Tensor } from '../contract/tensor.ts';

/** Owns intermediate results until it is closed, so that a composition frees them whether it returns or throws. */
export class Scope {
  readonly #owned = new Set<Disposable>();

  /** Adds a value, which is disposed when the scope closes unless it was released. */
  own<T extends Disposable>(value: T): T {
    this.#owned.add(value);
    return value;
  }

  /** Removes a value without disposing it; the caller owns it then. */
  release<T extends Disposable>(value: T): T {
    this.#owned.delete(value);
    return value;
  }

  /** Disposes a value before the scope closes. */
  drop(value: Disposable): void {
    if (this.#owned.delete(value)) value.dispose();
  }

  /** Disposes all values that it still owns. */
  close(): void {
    for (const value of this.#owned) value.dispose();
    this.#owned.clear();
  }
}

interface Disposable {
  dispose(): void;
}

/** Runs `body` with a scope that is closed whether it returns or throws. */
export function scoped<R>(body: (scope: Scope) => R): R {
  const scope = new Scope();
  try {
    return body(scope);
  } finally {
    scope.close();
  }
}

/** Disposes tensors; those that are undefined are skipped. */
export function disposeAll(tensors: Iterable<Tensor | undefined>): void {
  for (const tensor of tensors) tensor?.dispose();
}
