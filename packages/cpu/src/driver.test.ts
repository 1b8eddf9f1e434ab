import { isMambaError } from '@mamba/core';
import { createBackend } from '@mamba/core/driver';
import { expect, test } from 'vitest';
import { createDriver } from './driver.ts';
import type { Allocation } from './memory/allocator.ts';
import { Heap, MAX_PAGES } from './memory/heap.ts';
import { singleThread } from './threads/team.ts';
import { instantiate, loadModule } from './wasm/load.ts';

async function onHeap() {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: MAX_PAGES });
  const wasm = await instantiate(await loadModule(undefined, 'simd', false), memory);
  const heap = new Heap(memory, wasm.reserved());
  const driver = createDriver({
    heap,
    wasm,
    team: singleThread(wasm),
    wide: false,
    build: 'simd',
    notes: {},
    overhead: 0,
    dispose: async () => {},
  });
  return { heap, backend: createBackend(driver) };
}

test('everything works at addresses above 2 GiB', async () => {
  const { heap, backend } = await onHeap();
  // The ballast is never touched, so the operating system backs none of it.
  const ballast = heap.allocate(2 ** 31 + 2 ** 20);
  const ones = (shape: readonly number[]) =>
    backend.upload({ dtype: 'float32', shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1) });

  const x = ones([1, 12, 6]);
  expect(new Set(await backend.read(backend.linear(x, ones([5, 6]))))).toEqual(new Set([6]));
  const conv = backend.causalConv1d(x, ones([6, 2]));
  expect((await backend.read(conv.y)).at(-1)).toBe(2);
  const flat = backend.upload({ dtype: 'float32', shape: [6, 3], data: new Float32Array(18) });
  const scan = backend.selectiveScan(x, x, flat, ones([1, 12, 3]), ones([1, 12, 3]));
  expect((await backend.read(scan.y)).at(-1)).toBe(36);
  expect((await backend.read(scan.lastState)).at(-1)).toBe(12);
  const ids = backend.argmax(backend.upload({ dtype: 'float32', shape: [3], data: Float32Array.of(1, 5, 2) }));
  expect([...(await backend.read(ids))]).toEqual([1]);
  expect((await backend.read(backend.rmsNorm(x, { eps: 0 })))[71]).toBe(1);
  expect((await backend.read(backend.layerNorm(x, { bias: ones([6]) })))[71]).toBe(1);
  expect((await backend.read(backend.multiply(x, x, { scale: 3 })))[71]).toBe(3);

  const product = backend.linearBackward(x, ones([5, 6]), undefined, ones([1, 12, 5]));
  expect(new Set(await backend.read(product.x!))).toEqual(new Set([5]));
  expect(new Set(await backend.read(product.weight!))).toEqual(new Set([12]));
  const taps = backend.causalConv1dBackward(x, ones([6, 2]), undefined, {}, { y: x });
  expect((await backend.read(taps.weight)).at(-1)).toBe(12);
  const selective = ones([1, 12, 3]);
  const gradients = backend.selectiveScanBackward(x, x, flat, selective, selective, {}, { y: x });
  expect((await backend.read(gradients.C)).at(-1)).toBe(72);
  expect((await backend.read(gradients.u))[0]).toBe(36);
  expect((await backend.read(backend.gradientNorm([ones([16, 16])])))[0]).toBe(16);

  await backend.dispose();
  ballast.free();
  expect(heap.used).toBe(0);
});

test('a matrix whose rows find no memory any more is freed', async () => {
  const { heap, backend } = await onHeap();
  const [rows, columns] = [40, 40_000];
  // The second slab needs scratch or, with a value beyond float16, the memory of the whole matrix once more.
  for (const value of [1, 1e6]) {
    const ballast: Allocation[] = [];
    const upload = backend.uploadRows(
      {
        dtype: 'float32',
        shape: [rows, columns],
        rows(first, count) {
          if (first > 0) ballast.push(...whatIsLeft(heap));
          return {
            dtype: 'float32',
            shape: [count, columns],
            data: new Float32Array(count * columns).fill(first > 0 ? value : 1),
          };
        },
      },
      { dtype: 'float16', role: 'matrix' },
    );
    await expect(upload).rejects.toMatchObject({ code: 'out-of-memory' });
    expect(ballast.length).toBeGreaterThan(0);
    for (const allocation of ballast) allocation.free();
    expect(heap.used).toBe(0);
  }
});

/** Allocates all but the last MiB, without touching it. */
function whatIsLeft(heap: Heap): Allocation[] {
  const allocations: Allocation[] = [];
  for (let size = 2 ** 31; size >= 2 ** 20; size /= 2) {
    try {
      for (;;) allocations.push(heap.allocate(size));
    } catch (error) {
      if (!isMambaError(error, 'out-of-memory')) throw error;
    }
  }
  return allocations;
}
