/**
 * Measures the memory that loading a model takes at its peak, which is to stay within the weights as they are stored, a
 * tenth and 64 MiB: the largest resident set of a process of its own, less what the process had before. Node only.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { createFile, modelConfigJson, openCheckpoint, writeGguf, writeSafetensorsModel } from '@mamba/checkpoint';
import { seededWeights } from '@mamba/conformance';
import { createModel, type DType, MAMBA_SIZES, modelConfig } from '@mamba/core';
import { cpu } from '@mamba/cpu';

/** A file of mamba-130m's shape: a safetensors folder or a GGUF, by how its matrices are stored. */
export type LoadFile = 'F32' | 'F16' | 'gguf-F32' | 'gguf-Q8_0';
export const LOAD_FILES: readonly LoadFile[] = ['F32', 'F16', 'gguf-F32', 'gguf-Q8_0'];

/** Each file with the type that its matrices get in memory. */
export const LOAD_CASES: readonly (readonly [LoadFile, DType])[] = [
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['F32', 'float16'],
  ['F32', 'q8'],
  ['F16', 'q8'],
  ['gguf-F32', 'float32'],
  ['gguf-F32', 'q8'],
  ['gguf-Q8_0', 'q8'],
  ['F32', 'q4'],
];

export interface LoadReport {
  /** Bytes of the weights as the backend stores them, of the process at its peak, and of WebAssembly's memory. */
  readonly weights: number;
  readonly peak: number;
  readonly reserved: number;
}

export function loadLimit({ weights }: LoadReport): number {
  return weights * 1.1 + 64 * 2 ** 20;
}

export async function writeModel(folder: string, file: LoadFile): Promise<void> {
  const config = modelConfig(MAMBA_SIZES['mamba-130m']);
  const source = seededWeights(config, 130);
  const place = join(folder, file);
  await mkdir(place);
  if (file === 'gguf-F32' || file === 'gguf-Q8_0') {
    const type = file === 'gguf-F32' ? 'F32' : 'Q8_0';
    await writeGguf({ config, source, type, sink: await createFile(join(place, 'model.gguf')) });
    return;
  }
  await writeFile(join(place, 'config.json'), JSON.stringify(modelConfigJson(config, { bos: undefined, eos: [] })));
  await writeSafetensorsModel({ config, source, type: file, sink: await createFile(join(place, 'model.safetensors')) });
}

export async function measureLoad(folder: string, file: LoadFile, dtype: DType): Promise<LoadReport> {
  const backend = await cpu().create();
  const before = process.memoryUsage().rss;
  const checkpoint = await openCheckpoint(join(folder, file));
  await createModel(backend, checkpoint.config, checkpoint.source, { weights: dtype });
  await checkpoint.close();
  const { bytes, reserved } = backend.memory();
  return { weights: bytes, reserved, peak: process.resourceUsage().maxRSS * 1024 - before };
}
