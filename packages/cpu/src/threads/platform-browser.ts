import type { MemberData } from './member.ts';
import type { Platform } from './platform.ts';

const inWorker = 'WorkerGlobalScope' in globalThis;

export const platform: Platform = {
  unshared: unshared(),
  maySleep: inWorker,
  // Browsers count threads, and two are a core on most machines.
  physicalCores: async () => Math.max(1, Math.floor((globalThis.navigator?.hardwareConcurrency ?? 1) / 2)),
  startWorker: (data: MemberData, died) =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL('./worker-browser.js', import.meta.url), { type: 'module' });
      worker.onmessage = () => {
        worker.onmessage = null;
        // Nobody else can end it, and what it throws itself it reports.
        resolve({ lives: () => true, terminate: async () => worker.terminate() });
      };
      worker.onerror = (event) => {
        const cause = event.error ?? new Error(event.message || 'a worker could not be started');
        reject(cause);
        died(cause);
      };
      worker.postMessage(data);
    }),
  unwidened: 'it needs Node',
  compileRevectorized: (bytes) => new WebAssembly.Module(bytes),
};

/** Isolation first: a page without it has no SharedArrayBuffer either. */
function unshared(): string | undefined {
  if (globalThis.crossOriginIsolated === false) {
    return 'this page is not cross-origin isolated: send Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp';
  }
  if (typeof SharedArrayBuffer !== 'function' || typeof Worker !== 'function') return 'this engine shares no memory';
  return undefined;
}
