import { workerSource } from '../generated/worker-source.ts';
import type { MemberData, Platform } from './platform.ts';

/** The platform of a browser, or of any other engine whose modules are the web's. */
export function browserPlatform(): Platform {
  return {
    sharedMemoryRefusal: sharedMemoryRefusal(),
    maySleep: 'WorkerGlobalScope' in globalThis,
    // Browsers count logical processors, of which most machines have two a core.
    physicalCores: async () => Math.max(1, Math.floor((globalThis.navigator?.hardwareConcurrency ?? 1) / 2)),
    startWorker,
    workerRemedy:
      'where a Content-Security-Policy forbids workers from blob:, serve @mamba/cpu/worker.js and give its address as the option `worker`',
    revectorizeRefusal: 'it needs Node',
    compileRevectorized: (bytes) => new WebAssembly.Module(bytes),
  };
}

/** Isolation is asked for first, since a page without it has no SharedArrayBuffer either. */
function sharedMemoryRefusal(): string | undefined {
  if (globalThis.crossOriginIsolated === false) {
    return 'this page is not cross-origin isolated: send Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp';
  }
  if (typeof SharedArrayBuffer !== 'function') return 'this engine shares no memory';
  if (typeof Worker !== 'function') return 'this engine starts no workers';
  return undefined;
}

async function startWorker(data: MemberData, file: string | URL | undefined, died: (cause: unknown) => void) {
  const inlined = file === undefined ? URL.createObjectURL(new Blob([workerSource], { type: 'text/javascript' })) : '';
  try {
    return await started(new Worker(file ?? inlined), data, died);
  } finally {
    URL.revokeObjectURL(inlined);
  }
}

function started(worker: Worker, data: MemberData, died: (cause: unknown) => void) {
  return new Promise<{ isAlive(): boolean; terminate(): Promise<void> }>((resolve, reject) => {
    worker.onmessage = () => {
      worker.onmessage = null;
      // Nobody else can end the worker, and it reports what it throws itself.
      resolve({ isAlive: () => true, terminate: async () => worker.terminate() });
    };
    worker.onerror = (event) => {
      const cause = event.error ?? new Error(event.message || 'a worker could not be started');
      reject(cause);
      died(cause);
    };
    worker.postMessage(data);
  });
}
