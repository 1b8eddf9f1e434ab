import type { Backend, HostTensor } from '@mamba/core';
import { numberToBfloat16, numberToFloat16 } from '@mamba/core/driver';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { integers, read, tensor } from '../test/values.ts';
import { reference } from './index.ts';

const failure = (code: string) => expect.objectContaining({ name: 'MambaError', code });

let backend: Backend;
beforeEach(async () => {
  backend = await reference().create();
});
afterEach(() => backend.dispose());

describe('uploads', () => {
  const values = [0, -1.5, 0.25, 1024, Number.POSITIVE_INFINITY, Number.NaN];
  const hosts: readonly HostTensor[] = [
    { dtype: 'float64', shape: [6], data: Float64Array.from(values) },
    { dtype: 'float32', shape: [6], data: Float32Array.from(values) },
    { dtype: 'float16', shape: [6], data: Uint16Array.from(values.map(numberToFloat16)) },
    { dtype: 'bfloat16', shape: [6], data: Uint16Array.from(values.map(numberToBfloat16)) },
  ];

  it.each(hosts)('widens $dtype to float64', async (host) => {
    const uploaded = backend.upload(host);
    expect(uploaded.dtype).toBe('float64');
    expect(await backend.read(uploaded)).toEqual(Float64Array.from(values));
  });

  it('keeps int32, with its range', async () => {
    const ids = integers(backend, [3], [4, -2, 7]);
    expect(ids).toMatchObject({ dtype: 'int32', range: { min: -2, max: 7 } });
    expect(await backend.read(ids)).toEqual(new Int32Array([4, -2, 7]));
  });

  it('copies: neither the host array nor what was read is the tensor', async () => {
    const data = new Float64Array([1, 2]);
    const uploaded = backend.upload({ dtype: 'float64', shape: [2], data });
    data.fill(9);
    (await backend.read(uploaded)).fill(9);
    expect(await read(backend, uploaded)).toEqual([1, 2]);
  });

  it.each(['float32', 'float16', 'bfloat16', 'q8', 'q4'] as const)('stores nothing as %s, and says so', (dtype) => {
    const host = { dtype: 'float32', shape: [32], data: new Float32Array(32) } as const;
    expect(backend.supportsUpload(host, { dtype })).toMatchObject({ supported: false });
    expect(() => backend.upload(host, { dtype })).toThrow(failure('unsupported'));
    expect(backend.memory().tensors).toBe(0);
  });
});

describe('what it says of itself', () => {
  it('computes in float64 and has the backward passes', () => {
    expect(backend.name).toBe('reference');
    expect(backend.precision).toBe('float64');
    const [sequence, weight] = [
      { shape: [1, 2, 3], dtype: 'float64' },
      { shape: [3, 4], dtype: 'float64' },
    ] as const;
    expect(backend.supports('causalConv1dBackward', sequence, weight, undefined, {}, { y: sequence })).toEqual({
      supported: true,
    });
    const single = { ...sequence, dtype: 'float32' } as const;
    expect(backend.supports('rmsNorm', single)).toMatchObject({ supported: false });
  });
});

describe('memory', () => {
  it('is counted while tensors live: 8 bytes a float, 4 an integer', () => {
    const a = tensor(backend, [2, 3], [1, 2, 3, 4, 5, 6]);
    const ids = integers(backend, [3], [0, 1, 0]);
    expect(backend.memory()).toEqual({ tensors: 2, bytes: 60, reserved: 60 });
    const gathered = backend.embedding(a, ids);
    expect(backend.memory()).toEqual({ tensors: 3, bytes: 132, reserved: 132 });
    for (const held of [a, ids, gathered]) held.dispose();
    a.dispose();
    expect(backend.memory()).toEqual({ tensors: 0, bytes: 0, reserved: 0 });
  });

  it('returns to where it was after 1,000 calls of everything', () => {
    const one = (...shape: number[]) => tensor(backend, shape, new Array(shape.reduce((x, y) => x * y, 1)).fill(1));
    const [x, A, vector, weight] = [one(1, 3, 2), one(2, 2), one(2), one(2, 2)];
    const group = one(1, 3, 1, 2);
    const resets = integers(backend, [1, 3], [0, 1, 0]);
    const initialState = one(1, 2, 2);
    const before = backend.memory();
    for (let round = 0; round < 1000; round++) {
      const options = { D: vector, z: x, deltaBias: vector, deltaSoftplus: true, initialState, resets };
      const scan = backend.selectiveScan(x, x, A, group, group, options);
      const scanGradients = backend.selectiveScanBackward(x, x, A, group, group, options, { y: x });
      const conv = backend.causalConv1d(x, weight, vector);
      const convGradients = backend.causalConv1dBackward(x, weight, vector, {}, { y: x });
      const ids = backend.argmax(x);
      const made = [
        ...[scan, conv, scanGradients, convGradients].flatMap((results) => Object.values(results)),
        ids,
        backend.linear(x, weight),
        backend.rmsNorm(x),
        backend.layerNorm(x),
        backend.embedding(A, ids),
        backend.add(x, x),
        backend.multiply(x, x, { activation: 'gelu' }),
        backend.slice(x, 1, 0, 2),
        backend.concat([x, x], 1),
        backend.logProb(x, ids),
      ];
      for (const held of made) held.dispose();
    }
    expect(backend.memory()).toEqual(before);
  });

  it('that cannot be had is an error which changes nothing', async () => {
    // 2^17 rows by 2^17 outputs would take 128 GiB.
    const tall = backend.upload({ dtype: 'float64', shape: [2 ** 17, 1], data: new Float64Array(2 ** 17) });
    const before = backend.memory();
    expect(() => backend.linear(tall, tall)).toThrow(failure('out-of-memory'));
    expect(backend.memory()).toEqual(before);
    expect((await backend.read(tall)).length).toBe(2 ** 17);
  });

  it('is all given back by dispose, after which nothing works', async () => {
    const a = tensor(backend, [1], [1]);
    await backend.dispose();
    expect(backend.memory()).toEqual({ tensors: 0, bytes: 0, reserved: 0 });
    expect(a.disposed).toBe(true);
    expect(() => backend.add(a, a)).toThrow(failure('disposed'));
    await expect(backend.read(a)).rejects.toThrow(failure('disposed'));
  });
});

describe('misuse', () => {
  it('ids outside a table or a vocabulary are refused', () => {
    const table = tensor(backend, [2, 1], [1, 2]);
    for (const bad of [2, -1]) {
      expect(() => backend.embedding(table, integers(backend, [1], [bad]))).toThrow(failure('invalid-argument'));
      expect(() => backend.logProb(table, integers(backend, [2], [0, bad]))).toThrow(failure('invalid-argument'));
    }
  });

  it('a tensor of another backend is refused, and one after dispose', async () => {
    const other = await reference().create();
    const theirs = tensor(other, [1], [1]);
    const ours = tensor(backend, [1], [1]);
    expect(() => backend.add(ours, theirs)).toThrow(failure('foreign'));
    await expect(backend.read(theirs)).rejects.toThrow(failure('foreign'));
    ours.dispose();
    expect(() => backend.add(ours, ours)).toThrow(failure('disposed'));
    await expect(backend.read(ours)).rejects.toThrow(failure('disposed'));
    await other.dispose();
  });

  it('inputs are left as they were', async () => {
    const x = tensor(backend, [1, 2, 1], [1, 2]);
    const A = tensor(backend, [1, 1], [-1]);
    const initialState = tensor(backend, [1, 1, 1], [5]);
    backend.selectiveScan(x, x, A, A, A, { initialState });
    backend.selectiveScanBackward(x, x, A, A, A, { initialState }, { y: x, lastState: initialState });
    expect(await read(backend, x)).toEqual([1, 2]);
    expect(await read(backend, A)).toEqual([-1]);
    expect(await read(backend, initialState)).toEqual([5]);
  });
});
