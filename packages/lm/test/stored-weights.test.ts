import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFile, writeGguf } from '@mamba/checkpoint';
import { type Backend, type HostTensor, modelConfig, type ParameterSpec, sizeOf } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { reference } from '@mamba/reference';
import { describe, expect, it } from 'vitest';
import { type LoadOptions, loadModel } from '../src/index.ts';

describe('weights as they are stored', () => {
  const logitsOf = async (backend: Backend, location: string, weights: LoadOptions['weights']) => {
    const lm = await loadModel(backend, location, { weights });
    const { bytes } = backend.memory();
    const { logits, state } = lm.model.forward([[5, 3, 9, 11]]);
    const values = (await backend.read(logits!)) as Float32Array;
    for (const made of [logits!, state, lm]) made.dispose();
    return { values: Array.from(values), bytes };
  };

  it.each(['F16', 'BF16', 'Q8_0'] as const)('are kept, and give the same as dequantised ones (%s)', async (type) => {
    const folder = await mkdtemp(join(tmpdir(), 'mamba-stored-'));
    // Rows are multiples of a block, so that all matrices have the same type.
    const config = modelConfig({ layers: 2, dModel: 64, vocabSize: 96 }, { dState: 16, dtRank: 32 });
    let seed = 1;
    const source = ({ key, shape }: ParameterSpec): HostTensor => {
      const data = Float32Array.from({ length: sizeOf(shape) }, () => {
        seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
        const value = (seed / 2 ** 32 - 0.5) / 4;
        return key === 'block.A' ? -1 - Math.abs(value) : value;
      });
      return { dtype: 'float32', shape, data };
    };
    const path = join(folder, 'model.gguf');
    await writeGguf({ config, source, type, sink: await createFile(path) });
    const backend = await cpu().create();
    const [whole, stored] = [await logitsOf(backend, path, undefined), await logitsOf(backend, path, 'stored')];
    expect(stored.bytes).toBeLessThan(whole.bytes * 0.8);
    const largest = Math.max(...whole.values.map(Math.abs));
    // The weights are equal. The order of sums in float32 differs, and for q8 the backend rounds activations to 8 bits.
    const bound = type === 'Q8_0' ? 2e-2 : 1e-5;
    for (const [id, value] of whole.values.entries())
      expect(Math.abs(stored.values[id]! - value)).toBeLessThan(bound * largest);
    await backend.dispose();

    // A backend without the type uses its own precision.
    const exact = await reference().create();
    const [first, second] = [await logitsOf(exact, path, undefined), await logitsOf(exact, path, 'stored')];
    expect(second).toEqual(first);
    await exact.dispose();
    await rm(folder, { recursive: true });
  });
});
