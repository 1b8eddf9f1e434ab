import { MambaError } from '@mamba/core';

/**
 * Waits for a lock among all tabs and workers of this origin. Without the Web Locks API it does not wait.
 * @returns a function that releases the lock.
 * @throws MambaError `aborted`
 */
export async function holdLock(name: string, signal: AbortSignal | undefined): Promise<() => void> {
  const locks = globalThis.navigator?.locks;
  if (locks === undefined) return () => {};
  return new Promise((resolve, reject) => {
    const hold = (): Promise<void> => new Promise((release) => resolve(release));
    locks.request(name, signal === undefined ? {} : { signal }, hold).catch((cause: unknown) => {
      reject(new MambaError('aborted', `waiting for ${name} was aborted`, { origin: name, cause }));
    });
  });
}
