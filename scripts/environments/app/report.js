// The program of every environment: three threads compute a product, and the result is reported.
import { cpu } from '@mamba/cpu';

export async function report(options = {}) {
  try {
    const backend = await cpu({ threads: 3, ...options }).create();
    const filled = (shape, value) =>
      backend.upload({ dtype: 'float32', shape, data: new Float32Array(shape[0] * shape[1]).fill(value) });
    const [sum] = await backend.read(backend.linear(filled([40, 64], 1), filled([96, 64], 1)));
    const { threads, simd, build, revectorized } = backend.details;
    await backend.dispose();
    const features = { threads, simd, relaxed: build === 'relaxed', revectorized };
    return { backend: 'cpu', threads, features, sum, description: backend.description };
  } catch (error) {
    return { failure: `${error} ${error?.remedy ?? ''}` };
  }
}
