/** Lets timers, input and rendering run: awaiting a settled promise alone stays in the microtask queue. */
export function yieldToEventLoop(): Promise<void> {
  // Browsers do not have it.
  const { setImmediate } = globalThis as { readonly setImmediate?: (callback: () => void) => void };
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') {
      setImmediate(resolve);
      return;
    }
    // Browsers delay nested timers by at least 4 ms, but not messages.
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
