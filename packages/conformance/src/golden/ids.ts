import type { SafetensorsFile } from '@mamba/checkpoint';
import type { HostTensor, ModelConfig } from '@mamba/core';
import { damaged } from './golden-file.ts';

/** Reads ids `[batch, length]` as rows, and checks that the vocabulary has them. */
export async function readIds(file: SafetensorsFile, name: string, { vocabSize }: ModelConfig): Promise<Int32Array[]> {
  const origin = `${file.name}: ${name}`;
  if (!file.tensors.has(name)) throw damaged(file.name, `no ${name}`, 'token ids');
  const host: HostTensor = await file.read(name);
  if (host.dtype !== 'int32' || host.shape.length !== 2)
    throw damaged(origin, `${host.dtype} [${host.shape.join(', ')}]`, 'integers [batch, length]');
  const outside = host.data.find((id) => id < 0 || id >= vocabSize);
  if (outside !== undefined) throw damaged(origin, `the id ${outside}`, `ids from 0 to ${vocabSize - 1}`);
  const [batch, length] = host.shape as [number, number];
  return Array.from({ length: batch }, (_, row) => host.data.slice(row * length, (row + 1) * length));
}
