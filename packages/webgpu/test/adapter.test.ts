import { afterEach, expect, test, vi } from 'vitest';
import { webgpu } from '../src/index.ts';

test('an adapter is found, described, and given back', async () => {
  const backend = await webgpu().create();
  expect(backend.name).toBe('webgpu');
  expect(backend.details.vendor).not.toBe('');
  const x = backend.upload({ dtype: 'float32', shape: [3], data: Float32Array.of(1, 2, 3) });
  const y = backend.add(x, x);
  expect(await backend.read(y)).toEqual(Float32Array.of(2, 4, 6));
  await backend.dispose();
});

afterEach(() => {
  vi.unstubAllGlobals();
});

test("an engine's own adapter in software is asked for its device, as one of hardware is", async () => {
  const requestDevice = vi.fn(async () => Promise.reject(new Error('asked')));
  const info = { vendor: '', architecture: '', device: '', description: '', isFallbackAdapter: true };
  const adapter = { info, features: new Set(), limits: {}, requestDevice };
  vi.stubGlobal('navigator', { gpu: { requestAdapter: async () => adapter } });
  await expect(webgpu().create()).rejects.toMatchObject({ code: 'unavailable', cause: { message: 'asked' } });
  expect(requestDevice).toHaveBeenCalledOnce();
});

test.each([
  { device: 1 },
  { gpu: null },
  { powerPreference: 'fast' },
  { toggles: { enable: ['a'] } },
  { toggles: ['a'] },
  { profile: 'yes' },
  { subgroups: 0 },
  { defaultLimits: 1 },
  { spareBytes: -1 },
  { spareBytes: Number.NaN },
  { matrixPrecision: 'f16' },
  { testing: { scanVariant: 'plain' } },
  { testing: { scan: {} } },
  { scanVariant: {} },
  { threads: 2 },
  null,
  5,
])('unknown options and values are refused: %j', (options) => {
  expect(() => webgpu(options as unknown as object)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
});
