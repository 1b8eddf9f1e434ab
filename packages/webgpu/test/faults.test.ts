import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { seededWeights } from '@mamba/conformance';
import { createModel, isMambaError, modelConfig } from '@mamba/core';
import { describe, expect, test } from 'vitest';
import { globals } from 'webgpu';
import { acquire } from '../src/gpu/acquire.ts';
import { profileOf, webgpu } from '../src/index.ts';
import { compileLazily } from './compile-lazily.ts';

compileLazily(globals);

const floats = (...values: number[]) => ({
  dtype: 'float32' as const,
  shape: [values.length],
  data: Float32Array.from(values),
});

/** Returns the code of the error that a call rejects with or throws. */
async function codeOf(call: () => unknown): Promise<string | undefined> {
  try {
    await call();
    return undefined;
  } catch (error) {
    return isMambaError(error) ? error.code : String(error);
  }
}

describe('without a device', () => {
  test('no adapter is told with the remedy of this platform', async () => {
    const gpu = { requestAdapter: async () => null } as unknown as GPU;
    await expect(webgpu({ gpu }).create()).rejects.toMatchObject({
      code: 'unavailable',
      remedy: expect.stringContaining('Vulkan'),
    });
  });

  test('a device beside a gpu is refused', async () => {
    const { device } = await acquire({});
    expect(await codeOf(() => webgpu({ device, toggles: { enable: [], disable: [] } }).create())).toBe(
      'invalid-argument',
    );
    device.destroy();
  });
});

describe('a device of the user', () => {
  test('is worked on and left alive', async () => {
    const { device } = await acquire({});
    const backend = await webgpu({ device }).create();
    const x = backend.upload(floats(1, 2));
    expect(await backend.read(backend.add(x, x))).toEqual(Float32Array.of(2, 4));
    await backend.dispose();
    const buffer = device.createBuffer({ size: 16, usage: 8 });
    device.queue.writeBuffer(buffer, 0, new Uint8Array(16));
    await device.queue.onSubmittedWorkDone();
    device.destroy();
  });

  test('lost: pending and later calls reject, and a new backend continues from an exported state', async () => {
    const config = modelConfig({ layers: 2, dModel: 16, vocabSize: 20 });
    const { device } = await acquire({});
    const backend = await webgpu({ device }).create();
    const model = await createModel(backend, config, seededWeights(config, 1));
    const first = model.forward([[1, 2, 3]]);
    const snapshot = await model.exportState(first.state);
    const expected = model.decode([[4]], first.state, { count: 5 });
    const ids = await backend.read(expected.ids);

    const pending = backend.read(first.logits!);
    device.destroy();
    expect(await codeOf(() => pending)).toBe('device-lost');
    expect(backend.details.lost).toBe(true);
    expect(await codeOf(() => backend.read(first.logits!))).toBe('device-lost');
    expect(await codeOf(() => model.forward([[1]]))).toBe('device-lost');
    expect(await codeOf(() => backend.synchronize())).toBe('device-lost');
    await backend.dispose();

    const next = await webgpu().create();
    const again = await createModel(next, config, seededWeights(config, 1));
    const continued = again.decode([[4]], again.importState(snapshot), { count: 5 });
    expect(await next.read(continued.ids)).toEqual(ids);
    await next.dispose();
  });

  test('an error that nobody caught fails the next wait, once', async () => {
    const { device } = await acquire({});
    const backend = await webgpu({ device }).create();
    device.createBuffer({ size: 16, usage: 0 });
    expect(await codeOf(() => backend.synchronize())).toBe('device-error');
    expect(await codeOf(() => backend.synchronize())).toBeUndefined();
    await backend.dispose();
    device.destroy();
  });
});

describe('out of memory', () => {
  test('is told by the next wait, and the device goes on', async () => {
    const backend = await webgpu().create();
    // The device says that a buffer may hold a gibibyte, which is more than SwiftShader has.
    const table = backend.upload({ dtype: 'float32', shape: [1, 1 << 14], data: new Float32Array(1 << 14) });
    const ids = backend.upload({ dtype: 'int32', shape: [1 << 14], data: new Int32Array(1 << 14) });
    const huge = backend.embedding(table, ids);
    expect(await codeOf(() => backend.synchronize())).toBe('out-of-memory');
    huge.dispose();
    // The second call must not be given the buffer that has no memory.
    backend.embedding(table, ids).dispose();
    expect(await codeOf(() => backend.synchronize())).toBe('out-of-memory');
    const x = backend.upload(floats(1, 2));
    expect(await backend.read(backend.add(x, x))).toEqual(Float32Array.of(2, 4));
    await backend.dispose();
  });
});

describe('freed memory', () => {
  test('is destroyed only after the work that uses it', async () => {
    const backend = await webgpu({ spareBytes: 0 }).create();
    // Every result is larger than those before, so none of their buffers is reused, and all are destroyed while their
    // work is pending.
    const sums: number[] = [];
    for (let size = 1000; size < 300_000; size *= 3) {
      const x = backend.upload({ dtype: 'float32', shape: [size], data: new Float32Array(size).fill(size) });
      const y = backend.add(x, x);
      x.dispose();
      const z = backend.add(y, y);
      y.dispose();
      const part = backend.slice(z, 0, 0, 1);
      z.dispose();
      sums.push((await backend.read(part))[0]! / size);
      part.dispose();
    }
    expect(sums).toEqual(sums.map(() => 4));
    expect(backend.memory().bytes).toBe(0);
    await backend.dispose();
  });

  test('is used again where calls repeat, and limited where they do not', async () => {
    const backend = await webgpu({ spareBytes: 1 << 20 }).create();
    const x = backend.upload({ dtype: 'float32', shape: [1 << 18], data: new Float32Array(1 << 18) });
    let reserved = 0;
    for (let call = 0; call < 20; call++) {
      const results = [backend.add(x, x), backend.add(x, x), backend.add(x, x)];
      for (const result of results) result.dispose();
      if (call === 0) reserved = backend.memory().reserved;
    }
    expect(backend.memory().reserved).toBe(reserved);
    for (let size = 1 << 17; size < 1 << 18; size += 1 << 14) {
      const part = backend.slice(x, 0, 0, size);
      part.dispose();
    }
    await backend.synchronize();
    expect(backend.memory().reserved).toBeLessThanOrEqual(reserved + (1 << 20));
    await backend.dispose();
  });
});

describe('a profile', () => {
  test('names every dispatch', async () => {
    const backend = await webgpu({ profile: true }).create();
    const x = backend.upload(floats(1, 2, 3));
    backend.add(x, x);
    backend.add(x, x);
    backend.rmsNorm(x);
    const profile = await profileOf(backend);
    expect(profile.map(({ label, dispatches }) => [label.split(' ')[0], dispatches]).sort()).toEqual([
      ['add', 2],
      ['rms-norm/floats', 1],
    ]);
    for (const { nanoseconds } of profile) expect(nanoseconds).toBeGreaterThanOrEqual(0);
    expect(await profileOf(backend)).toEqual([]);
    await backend.dispose();
  });

  test('must be asked for', async () => {
    const backend = await webgpu().create();
    expect(await codeOf(() => profileOf(backend))).toBe('unsupported');
    await backend.dispose();
  });
});

test('Node exits by itself after dispose', async () => {
  const program = `
    import { webgpu } from '@mamba/webgpu';
    const backend = await webgpu().create();
    const x = backend.upload({ dtype: 'float32', shape: [1], data: new Float32Array(1) });
    await backend.read(backend.add(x, x));
    await backend.dispose();
    console.log('disposed');
  `;
  const { stdout } = await promisify(execFile)('node', ['--input-type=module', '-e', program], {
    cwd: import.meta.dirname,
    timeout: 100_000,
  });
  expect(stdout).toBe('disposed\n');
});
