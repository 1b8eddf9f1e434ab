import { expect, test } from 'vitest';
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
