import os from 'node:os';
import process from 'node:process';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import type { LimitAnswer, Platform } from './platform.ts';

export const platform: Platform = {
  tick: () => setImmediate(),
  collectGarbage() {
    setFlagsFromString('--expose-gc');
    (runInNewContext('gc') as () => void)();
  },
  residentBytes: () => process.memoryUsage.rss(),
  availableMemory: () => process.availableMemory?.() ?? os.freemem(),
  machineFacts() {
    const cpus = os.cpus();
    const v8 = process.versions.v8;
    return {
      cpu: cpus[0]?.model.trim().replace(/\s+/g, ' ') || 'unknown processor',
      cores: Math.max(cpus.length, 1),
      memory: os.totalmem(),
      load: os.loadavg()[0] ?? 0,
      os: `${os.type()} ${os.release()}`,
      arch: process.arch,
      engine: { name: 'node', version: process.versions.node, ...(v8 !== undefined && { v8 }) },
    };
  },
  revectorize: () => setFlagsFromString('--experimental-wasm-revectorize'),
  small: process.env.MAMBA_BENCH_SMALL === '1',
  startLimitWorker() {
    const worker = new Worker(fileURLToPath(new URL('./limit-worker-node.js', import.meta.url)));
    return {
      ask: (request) =>
        new Promise<LimitAnswer>((resolve, reject) => {
          worker.once('error', reject);
          worker.once('message', (answer: LimitAnswer) => {
            worker.off('error', reject);
            resolve(answer);
          });
          worker.postMessage(request);
        }),
      async stop() {
        await worker.terminate();
      },
    };
  },
};
