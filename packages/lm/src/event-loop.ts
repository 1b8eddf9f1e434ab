import { MambaError } from '@mamba/core';

/** Lets timers, input and painting run between pieces of work: promises alone never leave the microtask queue. */
export function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') {
      setImmediate(resolve);
      return;
    }
    // Browsers clamp nested timers to 4 ms; messages they deliver at once.
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

/** @throws MambaError `aborted` */
export function checkSignal(origin: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new MambaError('aborted', `${origin} was aborted`, { origin, cause: signal.reason });
}
