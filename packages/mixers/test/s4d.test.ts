import { createModel, modelConfig } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { reference } from '@mamba/reference';
import { expect, test } from 'vitest';
import { defineS4d, s4dKernel } from '../src/index.ts';

test.each([
  ['zoh', true],
  ['bilinear', true],
  ['zoh', false],
] as const)('%s, complex %s: the recurrence is the convolution with its kernel', async (discretization, complex) => {
  const backend = await cpu({ threads: 1 }).create();
  const [batch, length, dim, state] = [2, 150, 5, 6];
  const upload = (shape: readonly number[], value: (index: number) => number) => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    return backend.upload({ dtype: 'float32', shape, data: Float32Array.from({ length: size }, (_, i) => value(i)) });
  };
  const system = complex ? [2, dim, state] : [dim, state];
  const u = upload([batch, length, dim], (i) => Math.sin(1.7 * i * i));
  const dt = upload([dim], (i) => 0.01 * (i + 1));
  const A = upload(system, (i) => (i < dim * state ? -0.5 - (i % state) : Math.PI * (i % state)));
  const C = upload(system, (i) => Math.cos(i));
  const { y } = backend.s4d(u, dt, A, C, { discretization });

  const kernel = await backend.read(s4dKernel(backend, dt, A, C, { length, discretization }));
  // The last tap is that of the newest input.
  const taps = upload([dim, length], (i) => kernel[(length - 1 - (i % length)) * dim + Math.floor(i / length)]!);
  const convolved = await backend.read(backend.causalConv1d(u, taps).y);
  const scanned = await backend.read(y);
  const largest = Math.max(...scanned.map(Math.abs));
  const errors = Array.from(scanned, (value, index) => Math.abs(value - convolved[index]!));
  expect(Math.max(...errors) / largest).toBeLessThan(1e-5);
  await backend.dispose();
});

test('refuses options that it does not have', async () => {
  defineS4d();
  const model = { dModel: 4, vocabSize: 5 };
  const expected = (origin: string) => expect.objectContaining({ code: 'invalid-argument', origin });
  expect(() => modelConfig({ ...model, blocks: [{ kind: 's4d', dState: 0 }] })).toThrow(
    expected('modelConfig.blocks[0].dState'),
  );
  const legs = { kind: 's4d', dState: 2, initialisation: 'legs' as 'lin' } as const;
  expect(() => modelConfig({ ...model, blocks: [legs] })).toThrow(expected('modelConfig.blocks[0].initialisation'));
  const euler = { kind: 's4d', dState: 2, discretization: 'euler' as 'zoh' } as const;
  expect(() => modelConfig({ ...model, blocks: [euler] })).toThrow(expected('modelConfig.blocks[0].discretization'));
});

test('begins as the paper says, and generates', async () => {
  defineS4d();
  const config = modelConfig({ dModel: 4, vocabSize: 9, blocks: [{ kind: 's4d', dState: 3, initialisation: 'inv' }] });
  const backend = await reference().create();
  const imaginary: number[] = [];
  const model = await createModel(backend, config, ({ key, shape, training }) => {
    const initial = training?.initial;
    const value = (index: number): number => {
      if (typeof initial === 'function') return initial(index, () => 0.5);
      if (initial?.kind === 'constant') return initial.value;
      return Math.sin(index + 1);
    };
    const size = shape.reduce((product, extent) => product * extent, 1);
    const data = Float32Array.from({ length: size }, (_, index) => value(index));
    if (key === 'block.AIm') imaginary.push(...data);
    return { dtype: 'float32', shape, data };
  });
  // N / π (N / (2n + 1) - 1) with N = 6.
  for (const n of [0, 1, 2]) expect(imaginary[n]).toBeCloseTo((6 / Math.PI) * (6 / (2 * n + 1) - 1), 5);
  const { ids } = model.decode([[3]], undefined, { count: 4 });
  expect(await backend.read(ids)).toHaveLength(4);
  await backend.dispose();
});
