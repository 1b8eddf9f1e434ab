import { readFile } from 'node:fs/promises';
import { type Backend, isMambaError } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { float32, uniform } from './host.ts';

const wasmUrl = new URL('../src/generated/simd.wasm', import.meta.url);

afterEach(() => {
  vi.restoreAllMocks();
});

async function sums(backend: Backend): Promise<readonly number[]> {
  const a = float32(backend, [3], [1, 2, 3]);
  const values = await backend.read(backend.add(a, a));
  await backend.dispose();
  return [...values];
}

describe('the option wasm', () => {
  test('is inlined by default', async () => {
    expect(await sums(await cpu().create())).toEqual([2, 4, 6]);
  });

  test('takes bytes, a buffer, a module, a file URL, and a URL to fetch', async () => {
    const bytes = await readFile(wasmUrl);
    const plain = new Uint8Array(bytes);
    const sources = [
      bytes,
      plain.buffer,
      await WebAssembly.compile(plain),
      wasmUrl,
      wasmUrl.href,
      `data:application/wasm;base64,${bytes.toString('base64')}`,
    ];
    for (const wasm of sources) expect(await sums(await cpu({ wasm }).create())).toEqual([2, 4, 6]);
  });

  test('refuses what is something else, with the code that says why', async () => {
    const empty = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
    await expect(cpu({ wasm: empty }).create()).rejects.toMatchObject({ code: 'invalid-argument' });
    await expect(cpu({ wasm: Uint8Array.of(1, 2, 3) }).create()).rejects.toMatchObject({ code: 'unavailable' });
    await expect(cpu({ wasm: new URL('missing.wasm', wasmUrl) }).create()).rejects.toMatchObject({
      code: 'unavailable',
      origin: 'cpu.wasm',
    });
    await expect(cpu({ wasm: 5 as unknown as string }).create()).rejects.toMatchObject({ code: 'invalid-argument' });
  });
});

test.each([
  { thread: 2 },
  { threads: 0 },
  { threads: 1.5 },
  { threads: 1000 },
  { threads: 'all' },
  { build: 'fast' },
  { threads: '2' },
  { revectorize: 1 },
  null,
  5,
])('unknown options and values are refused: %j', (options) => {
  expect(() => cpu(options as unknown as object)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
});

test('without SIMD the backend is unavailable, and says what to do', async () => {
  vi.spyOn(WebAssembly, 'validate').mockReturnValue(false);
  const error = await cpu()
    .create()
    .then(
      () => undefined,
      (reason: unknown) => reason,
    );
  expect(isMambaError(error, 'unavailable') && error.remedy).toMatch(/Node 16\.4/);
});

test('what it stores, and why not other types', async () => {
  const backend = await cpu().create();
  const spec = { dtype: 'float16', shape: [4] } as const;
  expect(backend.supportsUpload(spec)).toEqual({ supported: true });
  for (const dtype of ['float16', 'bfloat16', 'q8', 'q4'] as const) {
    expect(backend.supportsUpload({ ...spec, shape: [2, 4] }, { dtype, role: 'matrix' })).toEqual({ supported: true });
    expect(backend.supportsUpload(spec, { dtype })).toMatchObject({
      supported: false,
      reason: expect.stringMatching(dtype),
    });
  }
  expect(backend.supportsUpload(spec, { dtype: 'float64' })).toMatchObject({ supported: false });
  await backend.dispose();
});

test('host values of every float type arrive in float32', async () => {
  const backend = await cpu().create();
  const shape = [3];
  const hosts = [
    { dtype: 'float64', shape, data: Float64Array.of(0.1, -2, 1e300) },
    { dtype: 'float16', shape, data: Uint16Array.of(0x3c00, 0xc000, 0x0001) },
    { dtype: 'bfloat16', shape, data: Uint16Array.of(0x3f80, 0xc000, 0x7f80) },
  ] as const;
  const read = await Promise.all(hosts.map((host) => backend.read(backend.upload(host))));
  expect(read).toEqual([
    Float32Array.of(0.1, -2, Number.POSITIVE_INFINITY),
    Float32Array.of(1, -2, 2 ** -24),
    Float32Array.of(1, -2, Number.POSITIVE_INFINITY),
  ]);
  await backend.dispose();
});

test('a matrix is stored once, reads back and gathers as any tensor', async () => {
  const backend = await cpu().create();
  const data = uniform(17 * 5, 1);
  const matrix = backend.upload({ dtype: 'float32', shape: [17, 5], data }, { role: 'matrix' });
  // Two panels of 16 outputs.
  expect(backend.memory().bytes).toBe(2 * 16 * 5 * 4);
  expect(await backend.read(matrix)).toEqual(data);
  const ids = backend.upload({ dtype: 'int32', shape: [2], data: Int32Array.of(16, 0) });
  expect(await backend.read(backend.embedding(matrix, ids))).toEqual(
    Float32Array.of(...data.subarray(80, 85), ...data.subarray(0, 5)),
  );
  await backend.dispose();
});

test('memory beyond 4 GiB is refused with the limit and the remedy, and nothing is lost', async () => {
  const backend = await cpu().create();
  const small = float32(backend, [4, 1], [1, 2, 3, 4]);
  const before = backend.memory();
  // An outer product has small inputs, and here a result of 8 GiB.
  const wide = float32(backend, [2 ** 15, 1], new Float32Array(2 ** 15));
  const x = float32(backend, [2 ** 16, 1], new Float32Array(2 ** 16));
  let error: unknown;
  try {
    backend.linear(x, wide);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ code: 'out-of-memory', expected: expect.stringMatching(/4096 MiB/) });
  expect((error as Error).message).toMatch(/8192\.0 MiB.*32-bit WebAssembly.*Dispose/);
  x.dispose();
  wide.dispose();
  expect(backend.memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
  expect(await backend.read(small)).toEqual(Float32Array.of(1, 2, 3, 4));
  await backend.dispose();
});

test('memory comes back after a thousand calls, and the backend stops growing', async () => {
  const backend = await cpu().create();
  const [length, dim, state] = [7, 10, 3];
  const activation = (seed: number) => float32(backend, [1, length, dim], uniform(length * dim, seed));
  const [u, delta, z] = [activation(1), activation(2), activation(3)];
  const A = float32(backend, [dim, state], uniform(dim * state, 4, -2, 0));
  const B = float32(backend, [1, length, state], uniform(length * state, 5));
  const weight = float32(backend, [dim, dim], uniform(dim * dim, 6));
  const conv = float32(backend, [dim, 4], uniform(dim * 4, 7));
  const call = () => {
    const first = backend.causalConv1d(u, conv, undefined, { activation: 'silu' });
    const second = backend.selectiveScan(first.y, delta, A, B, B, { z, deltaSoftplus: true });
    const third = backend.linear(second.y, weight);
    for (const tensor of [first.y, first.lastState, second.y, second.lastState, third]) tensor.dispose();
  };
  call();
  const before = backend.memory();
  for (let index = 0; index < 1000; index++) call();
  expect(backend.memory()).toEqual(before);
  await backend.dispose();
});

test('tensors survive the growth of the memory', async () => {
  const backend = await cpu().create();
  const first = float32(backend, [1000], uniform(1000, 1));
  const { reserved } = backend.memory();
  float32(backend, [2 ** 20], new Float32Array(2 ** 20));
  expect(backend.memory().reserved).toBeGreaterThan(reserved);
  expect(await backend.read(first)).toEqual(uniform(1000, 1));
  await backend.dispose();
});
