// Every form of the float32 matrix product that the rule may choose, with edges that fill no tile, against sums in
// JavaScript.
import type { Backend, Tensor } from '@mamba/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { countersOf, webgpu } from '../src/index.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await webgpu().create();
});
afterAll(() => backend.dispose());

const shapes = [
  { tiles: '64 × 64', rows: 67, inputs: 21, outputs: 130, dispatches: 1, dtypes: ['float32', 'float16', 'q8', 'q4'] },
  { tiles: '64 × 64, inputs cut', rows: 9, inputs: 300, outputs: 70, dispatches: 2, dtypes: ['float32', 'q8', 'q4'] },
  { tiles: '128 × 128', rows: 1157, inputs: 20, outputs: 1830, dispatches: 1, dtypes: ['float32', 'q8'] },
  { tiles: '128 × 128, inputs cut', rows: 1157, inputs: 134, outputs: 1830, dispatches: 2, dtypes: ['float16'] },
  {
    tiles: 'a lane group an output',
    rows: 2,
    inputs: 75,
    outputs: 2051,
    dispatches: 1,
    dtypes: ['float32', 'float16'],
  },
  { tiles: 'a lane group, two sections of q4', rows: 2, inputs: 320, outputs: 70, dispatches: 1, dtypes: ['q8', 'q4'] },
  { tiles: 'a lane group two outputs', rows: 2, inputs: 75, outputs: 2051, dispatches: 1, dtypes: ['q8', 'q4'] },
  { tiles: 'a lane group four outputs', rows: 1, inputs: 36, outputs: 8195, dispatches: 1, dtypes: ['q4'] },
] as const;

test.each(shapes.flatMap(({ dtypes, ...shape }) => dtypes.map((dtype) => ({ ...shape, dtype }))))(
  '$tiles of $dtype',
  async ({ rows, inputs, outputs, dtype, dispatches }) => {
    const values = (length: number, step: number) => Float32Array.from({ length }, (_, i) => Math.sin(i * step));
    const host = values(rows * inputs, 0.7);
    const x = backend.upload({ dtype: 'float32', shape: [rows, inputs], data: host });
    const bias = backend.upload({ dtype: 'float32', shape: [outputs], data: values(outputs, 0.3) });
    const weight = backend.upload(
      { dtype: 'float32', shape: [outputs, inputs], data: values(outputs * inputs, 0.9) },
      { dtype, role: 'matrix' },
    );
    const stored = await backend.read(weight);
    const before = countersOf(backend).dispatches;
    const result = backend.linear(x, weight, bias);
    expect(countersOf(backend).dispatches - before).toBe(dispatches);
    const y = await backend.read(result);
    const added = await backend.read(bias);
    let worst = 0;
    for (let i = 0; i < y.length; i += 1 + (i % 97)) {
      const [row, output] = [Math.floor(i / outputs), i % outputs];
      let sum = added[output]!;
      for (let k = 0; k < inputs; k++) sum += host[row * inputs + k]! * stored[output * inputs + k]!;
      worst = Math.max(worst, Math.abs(y[i]! - sum));
    }
    expect(worst).toBeLessThan(1e-4);
    for (const tensor of [x, bias, weight, result]) tensor.dispose();
  },
);

test.each([
  { extent: 64, splits: 1, dispatches: 1 },
  { extent: 64, splits: 3, dispatches: 2 },
  { extent: 128, splits: 1, dispatches: 1 },
  { extent: 128, splits: 5, dispatches: 2 },
] as const)('forced tiles of $extent in $splits parts', async ({ dispatches, ...productVariant }) => {
  const forced = await webgpu({ testing: { productVariant } }).create();
  const [rows, inputs, outputs] = [9, 300, 70];
  const host = Float32Array.from({ length: outputs * inputs }, (_, i) => Math.sin(i * 0.7));
  const results = [backend, forced].map((each) => {
    const x = each.upload({ dtype: 'float32', shape: [rows, inputs], data: host.subarray(0, rows * inputs) });
    const weight = each.upload({ dtype: 'float32', shape: [outputs, inputs], data: host }, { role: 'matrix' });
    const before = countersOf(each).dispatches;
    const y = each.linear(x, weight);
    if (each === forced) expect(countersOf(each).dispatches - before).toBe(dispatches);
    const values = each.read(y);
    for (const tensor of [x, weight, y]) tensor.dispose();
    return values;
  });
  const [expected, actual] = await Promise.all(results);
  for (const [index, value] of actual!.entries()) expect(value).toBeCloseTo(expected![index]!, 3);
  await forced.dispose();
});

test('a gradient of x from a turned copy of its weight, at edges of tiles', async () => {
  const turning = await webgpu({ testing: { productVariant: { turns: true } } }).create();
  const [rows, inputs, outputs] = [9, 68, 132];
  const values = (length: number, step: number) => Float32Array.from({ length }, (_, i) => Math.sin(i * step));
  const gradient = async (each: Backend, dispatches: number) => {
    const upload = (shape: readonly number[], step: number) =>
      each.upload({ dtype: 'float32', shape, data: values(shape[0]! * shape[1]!, step) });
    const operands = [upload([rows, inputs], 0.7), upload([outputs, inputs], 0.9), upload([rows, outputs], 0.8)];
    const [x, weight, dy] = operands as [Tensor, Tensor, Tensor];
    const before = countersOf(each).dispatches;
    const { x: dx } = each.linearBackward(x, weight, undefined, dy, { wanted: ['x'] });
    expect(countersOf(each).dispatches - before).toBe(dispatches);
    return each.read(dx!);
  };
  const expected = await gradient(backend, 2);
  const actual = await gradient(turning, 3);
  for (const [index, value] of actual.entries()) expect(value).toBeCloseTo(expected[index]!, 4);
  await turning.dispose();
});

const gradients = [
  { form: '64 × 64, in vec4s', rows: 33, inputs: 64, outputs: 96, dtypes: ['float32', 'float16', 'q8'] },
  { form: '64 × 64', rows: 41, inputs: 70, outputs: 37, dtypes: ['float32', 'bfloat16', 'q8', 'q4'] },
  { form: '64 × 64, rows cut', rows: 700, inputs: 12, outputs: 20, dtypes: ['float32'] },
  { form: '128 × 128 of x', rows: 1500, inputs: 1412, outputs: 7, dtypes: ['float32'] },
  { form: '128 × 128 of weight', rows: 5, inputs: 1412, outputs: 1500, dtypes: ['float32'] },
] as const;

test.each(gradients.flatMap(({ dtypes, ...shape }) => dtypes.map((dtype) => ({ ...shape, dtype }))))(
  'gradients in $form, with weights in $dtype',
  async ({ rows, inputs, outputs, dtype }) => {
    const values = (length: number, step: number) => Float32Array.from({ length }, (_, i) => Math.sin(i * step));
    const [x, dy] = [values(rows * inputs, 0.7), values(rows * outputs, 0.8)];
    const upload = (shape: readonly number[], data: Float32Array<ArrayBuffer>) =>
      backend.upload({ dtype: 'float32', shape, data });
    const host = { dtype: 'float32', shape: [outputs, inputs], data: values(outputs * inputs, 0.9) } as const;
    const weight = backend.upload(host, { dtype, role: 'matrix' });
    const stored = await backend.read(weight);
    const operands = [upload([rows, inputs], x), weight, undefined, upload([rows, outputs], dy)] as const;
    const wanted = dtype === 'float32' ? (['x', 'weight'] as const) : (['x'] as const);
    const found = backend.linearBackward(...operands, { wanted });
    const expected = {
      x: (row: number, i: number, k: number) => dy[row * outputs + k]! * stored[k * inputs + i]!,
      weight: (output: number, i: number, k: number) => dy[k * outputs + output]! * x[k * inputs + i]!,
    };
    for (const name of wanted) {
      const gradient = await backend.read(found[name]!);
      let worst = 0;
      for (let at = 0; at < gradient.length; at += 1 + (at % 97)) {
        let sum = 0;
        for (let k = 0; k < (name === 'x' ? outputs : rows); k++)
          sum += expected[name](Math.floor(at / inputs), at % inputs, k);
        worst = Math.max(worst, Math.abs(gradient[at]! - sum));
      }
      expect(worst).toBeLessThan(1e-4);
      found[name]!.dispose();
    }
    for (const tensor of operands) tensor?.dispose();
  },
);

test('without matrix units, float32 stands in for whatever rounding is allowed', async () => {
  const rounded = await webgpu({ matrixPrecision: 'float16' }).create();
  expect(rounded.details.matrixUnits).toBe('not used');
  const host = Float32Array.from({ length: 20 * 32 }, (_, i) => 1 + i * 2 ** -12);
  const outcomes = [backend, rounded].map((each) => {
    const x = each.upload({ dtype: 'float32', shape: [20, 32], data: host });
    return each.read(each.linear(x, x));
  });
  expect(await outcomes[1]).toEqual(await outcomes[0]);
  await rounded.dispose();
});
