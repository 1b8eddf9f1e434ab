import type { Backend } from '@mamba/core';

/** A backend that can tell how much memory a call takes at its most. */
export interface PeakMemory {
  /** The same backend. What is computed with it is seen. */
  readonly backend: Backend;
  /** Bytes of live tensors at most during a call, those that lived before it included. */
  during(call: () => void): number;
}

/** Looks at the memory after each operation and upload, which is when it can have grown. */
export function peakMemory(inner: Backend): PeakMemory {
  let most: number | undefined;
  // The proxy has no target of its own, since it could not replace a method that its target has fixed.
  const backend = new Proxy({} as Backend, {
    get(_, name) {
      const value: unknown = Reflect.get(inner, name, inner);
      if (typeof value !== 'function') return value;
      return (...args: readonly unknown[]): unknown => {
        const result: unknown = Reflect.apply(value, inner, args);
        if (most !== undefined) most = Math.max(most, inner.memory().bytes);
        return result;
      };
    },
  });
  return {
    backend,
    during(call) {
      most = inner.memory().bytes;
      try {
        call();
        return most;
      } finally {
        most = undefined;
      }
    },
  };
}
