/** The entry of a process that measures the cpu backend: one line of JSON on standard output is the result. */
import process from 'node:process';
import { measureLength } from './length.ts';
import { measureLoad, writeModel } from './load-memory.ts';
import { measureKernels } from './measure.ts';
import type { CpuTask } from './task.ts';

async function run(task: CpuTask): Promise<object | null> {
  switch (task.task) {
    case 'kernels':
      return measureKernels(task.request);
    case 'length':
      return measureLength(task.request);
    case 'write-model':
      await writeModel(task.request.folder, task.request.file);
      return null;
    case 'load':
      return measureLoad(task.request.folder, task.request.file, task.request.dtype);
  }
}

process.stdout.write(`${JSON.stringify(await run(JSON.parse(process.argv[2]!) as CpuTask))}\n`);
