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

const FLAG = '--experimental-wasm-revectorize';

/**
 * The flag concerns what is compiled while it is set, so it is set for this module alone. Optimised code is compiled at once, or the
 * self-test would not run it.
 */
async function compileRevectorized(compile: () => Promise<WebAssembly.Module>): Promise<WebAssembly.Module | string> {
  const version = Number.parseInt(process.versions.node, 10);
  if (version < 24) return `revectorisation needs Node 24 or newer, this is ${process.versions.node}`;
  if (process.versions.bun !== undefined || process.versions.deno !== undefined) return 'revectorisation needs Node';
  if (process.arch !== 'x64') return `revectorisation needs an x86-64 processor, this is ${process.arch}`;
  const now = [FLAG, '--no-liftoff', '--no-wasm-lazy-compilation'];
  const after = ['--no-experimental-wasm-revectorize', '--liftoff', '--wasm-lazy-compilation'];
  for (const flag of now) v8.setFlagsFromString(flag);
  try {
    return await compile();
  } finally {
    for (const flag of after) v8.setFlagsFromString(flag);
  }
}
