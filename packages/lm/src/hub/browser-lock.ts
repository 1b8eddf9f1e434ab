import { MambaError } from '@mamba/core';

/**
 * Waits until no tab or worker of this site has the name; the answer lets go of it. Where there are no locks, nobody
 * waits.
 * @throws MambaError `aborted`.
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
