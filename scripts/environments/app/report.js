// What every environment runs: three threads compute a product, and what became of it is told.
import { cpu } from '@mamba/cpu';

export async function report(options = {}) {
  try {
    const backend = await cpu({ threads: 3, ...options }).create();
    const filled = (shape, value) =>
      backend.upload({ dtype: 'float32', shape, data: new Float32Array(shape[0] * shape[1]).fill(value) });
    const [sum] = await backend.read(backend.linear(filled([40, 64], 1), filled([96, 64], 1)));
    const { threads } = backend.details;
    await backend.dispose();
    return { threads, sum, description: backend.description };
  } catch (error) {
    return { failure: `${error} ${error?.remedy ?? ''}` };
  }
}
