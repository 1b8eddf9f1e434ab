import type { Worker as NodeWorker } from 'node:worker_threads';
import { workerSource } from '../generated/worker-source.ts';
import type { Platform, Worker } from './platform.ts';

/** The platform of Node, Bun and Deno. */
export function nodePlatform(builtin: NodeJS.Process['getBuiltinModule']): Platform {
  const { Worker } = builtin('node:worker_threads');
  return {
    sharedMemoryRefusal: undefined,
    maySleep: true,
    physicalCores: () => physicalCores(builtin),
    startWorker(data, file, died) {
      const options = { workerData: data, execArgv: [] };
      return started(
        file === undefined
          ? new Worker(workerSource, { ...options, eval: true })
          : new Worker(String(file).startsWith('file:') ? new URL(file) : file, options),
        died,
      );
    },
    workerRemedy: 'give the file @mamba/cpu/worker.js as the option `worker`',
    revectorizeRefusal: revectorizeRefusal(),
    compileRevectorized: (bytes) => compileRevectorized(builtin('node:v8'), bytes),
  };
}

function started(worker: NodeWorker, died: (cause: unknown) => void): Promise<Worker> {
  return new Promise((resolve, reject) => {
    let cause: unknown;
    let stopping = false;
    worker.once('message', () => {
      // Until here the worker keeps the process alive; otherwise the process could end while it waits for the worker.
      worker.unref();
      resolve({
        // This reads the thread itself and needs no event: a thread that stops, or has stopped, has no idle time.
        isAlive: () => !stopping && worker.performance.eventLoopUtilization().idle >= 0,
        terminate: async () => {
          stopping = true;
          await worker.terminate();
        },
      });
    });
    worker.on('error', (error) => {
      cause = error;
    });
    worker.once('exit', (code) => {
      const reason = cause ?? new Error(`a worker ended with exit code ${code}`);
      reject(reason);
      if (!stopping) died(reason);
    });
  });
}

/** The number of processors that the process may use, halved where two of them are one core. */
async function physicalCores(builtin: NodeJS.Process['getBuiltinModule']): Promise<number> {
  const available = builtin('node:os').availableParallelism();
  return Math.max(1, (await hasSiblings(builtin, available)) ? Math.floor(available / 2) : available);
}

async function hasSiblings(builtin: NodeJS.Process['getBuiltinModule'], available: number): Promise<boolean> {
  if (process.platform === 'linux') {
    try {
      const { readFile } = builtin('node:fs/promises');
      return (await readFile('/sys/devices/system/cpu/smt/active', 'utf8')).trim() === '1';
    } catch {
      return false; // there is no such file where a kernel or a container does not tell, or a processor has no siblings
    }
  }
  // Windows does not tell without a tool. Most x86-64 processors of more than four threads have two a core; Arm's have
  // one.
  return process.arch === 'x64' && available > 4;
}

function revectorizeRefusal(): string | undefined {
  const { node, bun, deno } = process.versions;
  if (bun !== undefined || deno !== undefined) return 'it needs Node';
  if (Number.parseInt(node, 10) < 24) return `it needs Node 24 or newer, this is ${node}`;
  return process.arch === 'x64' ? undefined : `it needs an x86-64 processor, this is ${process.arch}`;
}

/** These flags give optimised code at once; otherwise the self-test would not run it. */
const REVECTORIZE = ['--experimental-wasm-revectorize', '--no-liftoff', '--no-wasm-lazy-compilation'];
const RESTORE = ['--no-experimental-wasm-revectorize', '--liftoff', '--wasm-lazy-compilation'];

/** Compiles one module at once while the flags are set, since they concern whatever is compiled meanwhile. */
function compileRevectorized(v8: typeof import('node:v8'), bytes: BufferSource): WebAssembly.Module {
  for (const flag of REVECTORIZE) v8.setFlagsFromString(flag);
  try {
    return new WebAssembly.Module(bytes);
  } finally {
    for (const flag of RESTORE) v8.setFlagsFromString(flag);
  }
}
