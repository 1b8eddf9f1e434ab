/**
 * The worker, whatever its host is: it joins its team and works until it is told to stop. This file imports nothing but
 * types, since scripts/generate.mjs makes one text of it that runs as a classic script, as a module and in Node. That
 * text is inlined, and exported as `@mamba/cpu/worker.js`.
 */
import type { KernelExports } from '../generated/exports.ts';
import type { MemberData } from './platform.ts';

/** `ready` is called once the member can work; then this blocks the worker's thread. */
async function join({ module, memory, control, thread }: MemberData, ready: () => void): Promise<void> {
  const abort = () => {
    throw new Error('a kernel of the cpu backend aborted');
  };
  const { exports } = await WebAssembly.instantiate(module, { env: { memory, abort, memberDied: () => 0 } });
  const wasm = exports as unknown as KernelExports;
  ready();
  try {
    wasm.serve(control, thread);
  } catch (error) {
    // The other members must not wait for the task that this one took.
    wasm.fail(control);
    throw error;
  }
}

/** A rejection would not reach the page as an error event; an exception in a task does. */
function report(error: unknown): void {
  setTimeout(() => {
    throw error;
  });
}

const port = globalThis.process?.getBuiltinModule?.('node:worker_threads');
if (port?.parentPort) {
  const { parentPort, workerData } = port;
  join(workerData as MemberData, () => parentPort.postMessage('ready')).catch(report);
} else {
  globalThis.onmessage = ({ data }: MessageEvent<MemberData>) => {
    join(data, () => globalThis.postMessage('ready')).catch(report);
  };
}
