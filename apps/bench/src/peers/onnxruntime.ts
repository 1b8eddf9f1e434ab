import { open, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { ModelConfig, ParameterSource } from '@mamba/core';
import type { Peer, PeerTask } from './contract.ts';
import { mambaOnnx, statesOf } from './onnx/blocks/mamba.ts';
import { driveOnnx, type OnnxRuntime } from './onnx/drive.ts';

const PACKAGE = 'onnxruntime-node';
/**
 * The operator of the recurrence: faster than a Scan of standard operators, and as exact. ONNX Runtime has no selective
 * scan.
 */
export const RECURRENCE = 'LinearAttention';

export const onnxRuntime: Peer = {
  name: 'onnxruntime',
  description: 'ONNX Runtime, native (onnxruntime-node 1.30.0)',
  packages: { [PACKAGE]: '1.30.0' },
  formats: ['F32'],
  async open(task) {
    const { folder, config, threads, prompt, decode } = task;
    const require = createRequire(join(folder, 'package.json'));
    const runtime = require(PACKAGE) as OnnxRuntime;
    const session = await withModelFile(task, (file) =>
      runtime.InferenceSession.create(file, {
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
        executionMode: 'sequential',
        graphOptimizationLevel: 'all',
        logSeverityLevel: 3,
      }),
    );
    const model = driveOnnx(runtime, session, statesOf(config, RECURRENCE));
    return {
      how: howOnnx(threads),
      logProbs: async (length) => new Map((await model.logProbs(prompt.slice(0, length))).entries()),
      prefill: () => model.prefill(prompt),
      decode: () => model.decode(prompt[0]!, decode),
      close: () => session.release(),
    };
  },
};

export function howOnnx(threads: number): string {
  return `${threads} ${threads === 1 ? 'thread' : 'threads'}, the recurrence as its operator ${RECURRENCE} (gated), all optimisations, the prompt at once, greedy from logits on the host, warmed up`;
}

/** Writes the weights as an ONNX file, which is deleted after `use`. */
export async function withModelFile<T>(
  { gguf, config, source, threads }: PeerTask,
  use: (file: string) => Promise<T>,
): Promise<T> {
  const file = `${gguf}.${threads}.onnx`;
  try {
    await writeModel(file, config, source);
    return await use(file);
  } finally {
    await rm(file, { force: true });
  }
}

async function writeModel(file: string, config: ModelConfig, source: ParameterSource): Promise<void> {
  const pieces = await mambaOnnx(config, source, RECURRENCE);
  const handle = await open(file, 'w');
  try {
    for (const piece of pieces) await handle.write(piece);
  } finally {
    await handle.close();
  }
}
