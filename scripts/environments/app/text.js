// A language model in a page or a process: the checkpoint's address comes from outside.
import { cpu } from '@mamba/cpu';
import { loadModel } from '@mamba/lm';

export async function text(location) {
  const backend = await cpu({ threads: 2 }).create();
  const lm = await loadModel(backend, location);
  let whole = '';
  for await (const piece of lm.generate({ prompt: 'And the LORD said unto', maxTokens: 8 })) whole += piece.text;
  const { threads, simd, build, revectorized } = backend.details;
  lm.dispose();
  await backend.dispose();
  const features = { threads, simd, relaxed: build === 'relaxed', revectorized };
  return { backend: 'cpu', threads, features, sum: 64, description: whole };
}
