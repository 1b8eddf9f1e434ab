import { type Backend, type BackendProvider, MambaError } from '@mamba/core';
import { createBackend } from '@mamba/core/driver';
import { createDriver } from './driver.ts';
import { acquire } from './gpu/acquire.ts';
import type { Counters } from './gpu/counters.ts';
import { Gpu } from './gpu/gpu.ts';
import type { ProfileEntry } from './gpu/profile-entry.ts';
import { MATRIX_FEATURES } from './operations/matrix-units.ts';
import { checkWebGpuOptions, type WebGpuOptions } from './options.ts';

/**
 * The WebGPU backend: `const backend = await webgpu().create()`. In browsers it uses `navigator.gpu`, in Node the
 * optional peer dependency `webgpu` (Dawn).
 * @throws MambaError `invalid-argument` on unknown options or values; `unavailable` from `create`, with the remedy,
 * where there is no WebGPU, adapter or device.
 */
export function webgpu(options: WebGpuOptions = {}): BackendProvider {
  checkWebGpuOptions(options);
  return {
    name: 'webgpu',
    async create() {
      const { matrixPrecision = 'float32', testing } = options;
      const features = matrixPrecision === 'float32' ? [] : MATRIX_FEATURES;
      const gpu = new Gpu(await acquire({ ...options, features }), options);
      const backend = createBackend(createDriver(gpu, { matrixPrecision, ...testing }));
      gpus.set(backend, gpu);
      return backend;
    },
  };
}

/** Counts of a backend's requests to its device so far, and the memory that it holds; for tests and reports. */
export function countersOf(backend: Backend): Readonly<Counters> & { readonly buffersAlive: number } {
  const gpu = gpuOf(backend);
  return { ...gpu.counters, buffersAlive: gpu.pool.live };
}

/**
 * Returns the times of all dispatches since the last call, by label, the longest first. The backend must be made with
 * `profile: true`.
 */
export async function profileOf(backend: Backend): Promise<readonly ProfileEntry[]> {
  const { profiler, readback } = gpuOf(backend);
  if (profiler === undefined)
    throw new MambaError('unsupported', 'this backend takes no profile', {
      origin: 'profileOf',
      remedy: 'Make it with webgpu({ profile: true }).',
    });
  await readback.synchronize();
  return profiler.take();
}

const gpus = new WeakMap<Backend, Gpu>();

function gpuOf(backend: Backend): Gpu {
  const gpu = gpus.get(backend);
  if (gpu === undefined)
    throw new MambaError('foreign', `${backend.name} is not a backend of @mamba/webgpu`, { origin: 'webgpu' });
  return gpu;
}
