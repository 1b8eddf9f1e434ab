import { readFile } from 'node:fs/promises';
import os from 'node:os';
import process from 'node:process';
import v8 from 'node:v8';
import { Worker as NodeWorker } from 'node:worker_threads';
import type { Platform } from './platform.ts';

export const platform: Platform = {
  unshared: undefined,
  maySleep: true,
  physicalCores,
  startWorker(data, died) {
    return new Promise((resolve, reject) => {
      const worker = new NodeWorker(new URL('./worker-node.js', import.meta.url), { workerData: data, execArgv: [] });
      let cause: unknown;
      let stopping = false;
      worker.once('message', () => {
        // Until here it keeps the process alive, or waiting for it would end the process.
        worker.unref();
        resolve({
          // Read from the thread itself, not by an event: of a thread that is being stopped, or has, there is no idle time.
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
  },
  unwidened: unwidened(),
  compileRevectorized,
};

/** Threads that the process may use, halved where two of them are one core. */
async function physicalCores(): Promise<number> {
  const available = os.availableParallelism();
  return Math.max(1, (await hasSiblings()) ? Math.floor(available / 2) : available);
}

async function hasSiblings(): Promise<boolean> {
  if (process.platform === 'linux') {
    try {
      return (await readFile('/sys/devices/system/cpu/smt/active', 'utf8')).trim() === '1';
    } catch {
      return false; // no such file: a kernel or a container that does not tell, or a processor without
    }
  }
  // Windows does not tell without a tool: most x86-64 processors of more than four threads have two a core. Arm has one.
  return process.arch === 'x64' && os.availableParallelism() > 4;
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

/** The flags concern what is compiled while they are set, so they are set for this module alone; compiled at once, for the same reason. */
function compileRevectorized(bytes: BufferSource): WebAssembly.Module {
  for (const flag of REVECTORIZE) v8.setFlagsFromString(flag);
  try {
    return new WebAssembly.Module(bytes);
  } finally {
    for (const flag of RESTORE) v8.setFlagsFromString(flag);
  }
}
