/**
 * A model whose weights do not fit the type that they are loaded into is refused, by the weight's name, and loads as
 * the error says.
 */
import { seededWeights } from '@mamba/conformance';
import { type Backend, createModel, type DType, type HostTensor, isMambaError, modelConfig } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

let backend: Backend;
beforeAll(async () => {
  backend = await cpu({ threads: 1 }).create();
});
afterAll(() => backend.dispose());

const config = modelConfig({ layers: 2, dModel: 48, vocabSize: 50 });
const seeded = seededWeights(config, 3);

/** Loads a model with `value` in row 33 of layer 1's in_proj, whole or some rows at a time. */
function load(value: number, weights: DType, inRows: boolean) {
  const source = async (parameter: Parameters<typeof seeded>[0]): Promise<HostTensor> => {
    const host = await seeded(parameter);
    if (parameter.name === 'layers.1.block.inProj') host.data[33 * 48 + 5] = value;
    return host;
  };
  const rows = async (parameter: Parameters<typeof seeded>[0]) => {
    const host = (await source(parameter)) as HostTensor & { readonly dtype: 'float32' };
    const [, columns] = host.shape as [number, number];
    return {
      dtype: 'float32' as const,
      shape: host.shape,
      rows: (first: number, count: number): HostTensor => ({
        dtype: 'float32',
        shape: [count, columns],
        data: host.data.slice(first * columns, (first + count) * columns),
      }),
    };
  };
  return createModel(backend, config, inRows ? Object.assign(source, { rows }) : source, { weights });
}

describe.each([false, true])('rows one after another: %s', (inRows) => {
  test.each([
    ['float16', 70_000, 'bfloat16'],
    ['float16', -1e38, 'float32'],
    ['bfloat16', 3.4e38, 'float32'],
    ['q8', Number.NaN, 'bfloat16'],
    ['q8', Number.POSITIVE_INFINITY, 'float32'],
    ['q4', Number.NEGATIVE_INFINITY, 'float32'],
  ] as const)('%s with %d', async (type, value, remedy) => {
    const before = backend.memory();
    const error = await load(value, type, inRows).catch((cause: unknown) => cause);
    expect(isMambaError(error, 'invalid-argument')).toBe(true);
    expect(error).toMatchObject({ origin: 'layers.1.block.inProj', given: `${Math.fround(value)} at [33, 5]` });
    expect((error as Error).message).toContain(remedy);
    expect(backend.memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
    (await load(value, remedy, inRows)).dispose();
  });

  test.each(['q8', 'q4'] as const)('%s with the largest float', async (type) => {
    (await load(3.4e38, type, inRows)).dispose();
  });
});
