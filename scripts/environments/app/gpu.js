// The program of environments with WebGPU: it adds on the device, and reports what the adapter offers.
import { webgpu } from '@mamba/webgpu';

export async function report() {
  try {
    // A browser and Deno have WebGPU of their own; Node takes Dawn's bindings.
    const gpu = globalThis.navigator?.gpu ?? (await import('webgpu')).create([]);
    const adapter = await gpu.requestAdapter();
    const backend = await webgpu().create();
    const x = backend.upload({ dtype: 'float32', shape: [2], data: Float32Array.of(31, 32) });
    const [, sum] = await backend.read(backend.add(x, x));
    const { description, details } = backend;
    await backend.dispose();
    const features = {
      f16: adapter.features.has('shader-f16'),
      subgroups: details.subgroups,
      software: details.software,
    };
    return { backend: 'webgpu', features, sum, description };
  } catch (error) {
    return { failure: `${error} ${error?.remedy ?? ''}` };
  }
}
