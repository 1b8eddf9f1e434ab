import type { Worker as NodeWorker } from 'node:worker_threads';
import { workerSource } from '../generated/worker-source.ts';
import type { Platform, Worker } from './platform.ts';

/** Node, Bun or Deno. */
export function nodePlatform(builtin: NodeJS.Process['getBuiltinModule']): Platform {
  const { Worker } = builtin('node:worker_threads');
  return {
    unshared: undefined,
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
    unwidened: unwidened(),
    compileRevectorized: (bytes) => compileRevectorized(builtin('node:v8'), bytes),
  };
}

function started(worker: NodeWorker, died: (cause: unknown) => void): Promise<Worker> {
  return new Promise((resolve, reject) => {
    let cause: unknown;
    let stopping = false;
    worker.once('message', () => {
      // Until here it keeps the process alive, or waiting for it would end the process.
      worker.unref();
      resolve({
        // Read from the thread itself, not by an event: of a thread that is being stopped, or has, there is no idle
        // time.
        lives: () => !stopping && worker.performance.eventLoopUtilization().idle >= 0,
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

/** Threads that the process may use, halved where two of them are one core. */
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
      return false; // no such file: a kernel or a container that does not tell, or a processor without
    }
  }
  // Windows does not tell without a tool: most x86-64 processors of more than four threads have two a core. Arm has
  // one.
  return process.arch === 'x64' && available > 4;
}

function unwidened(): string | undefined {
  const { node, bun, deno } = process.versions;
  if (bun !== undefined || deno !== undefined) return 'it needs Node';
  if (Number.parseInt(node, 10) < 24) return `it needs Node 24 or newer, this is ${node}`;
  return process.arch === 'x64' ? undefined : `it needs an x86-64 processor, this is ${process.arch}`;
}

/** Optimised code at once, or the self-test would not run it. */
const REVECTORIZE = ['--experimental-wasm-revectorize', '--no-liftoff', '--no-wasm-lazy-compilation'];
const RESTORE = ['--no-experimental-wasm-revectorize', '--liftoff', '--wasm-lazy-compilation'];

/**
 * The flags concern what is compiled while they are set, so they are set for this module alone; compiled at once, for
 * the same reason.
 */
function compileRevectorized(v8: typeof import('node:v8'), bytes: BufferSource): WebAssembly.Module {
  for (const flag of REVECTORIZE) v8.setFlagsFromString(flag);
  try {
    return new WebAssembly.Module(bytes);
  } finally {
    for (const flag of RESTORE) v8.setFlagsFromString(flag);
  }
}
