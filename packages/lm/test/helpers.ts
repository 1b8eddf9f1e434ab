import { fileURLToPath } from 'node:url';
import { bytesSource, checkpointStore, openFile, openSafetensors } from '@mamba/checkpoint';
import { type HostTensor, isMambaError } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { reference } from '@mamba/reference';
import { expect } from 'vitest';
import { type LanguageModel, loadModel } from '../src/index.ts';

export const FIXTURES = fileURLToPath(new URL('../../conformance/fixtures', import.meta.url));
export const PROVIDERS = [reference(), cpu()];

/** Reads the golden tensors of a fixture. */
export async function golden(folder: string): Promise<(name: string) => HostTensor> {
  const file = await openSafetensors(await openFile(`${FIXTURES}/${folder}/expected.safetensors`));
  const tensors = new Map<string, HostTensor>();
  for (const name of file.tensors.keys()) tensors.set(name, await file.read(name));
  await file.close();
  return (name) => tensors.get(name)!;
}

/** The rows of an integer tensor `[rows, columns]`. */
export function rows({ shape, data }: HostTensor): number[][] {
  const [count, length] = shape as [number, number];
  return Array.from({ length: count }, (_, row) => Array.from(data.subarray(row * length, (row + 1) * length)));
}

export async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

export async function ids(tokens: AsyncIterable<{ readonly id: number }>): Promise<number[]> {
  return (await collect(tokens)).map(({ id }) => id);
}

/** Expects `act` to throw or reject with a MambaError of this code, whose message has all of `words`. */
export async function expectError(act: () => unknown, code: string, ...words: string[]): Promise<void> {
  let error: unknown;
  try {
    await act();
  } catch (reason) {
    error = reason;
  }
  expect(error, 'nothing was thrown').toBeDefined();
  if (!isMambaError(error)) throw error;
  expect(error.code).toBe(code);
  for (const word of words) expect(error.message).toContain(word);
}

/** Loads kjv-mamba with one of its files replaced, on a backend of its own. */
export async function loadWith(name: string, content: string): Promise<LanguageModel> {
  const folder = checkpointStore(`${FIXTURES}/kjv-mamba`);
  return loadModel(await cpu().create(), {
    name: 'somewhere/kjv-changed',
    open: async (file) => (file === name ? bytesSource(new TextEncoder().encode(content), file) : folder.open(file)),
  });
}
