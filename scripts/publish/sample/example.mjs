import { cpu } from '@mamba/cpu';
import { loadModel } from '@mamba/lm';

const backend = await cpu({ threads: 2 }).create();
console.log(backend.description);
const lm = await loadModel(backend, 'kjv-mamba');
for await (const { text } of lm.generate({
  prompt: 'And the LORD said unto',
  maxTokens: 40,
  temperature: 0.8,
  seed: 1,
}))
  process.stdout.write(text);
console.log();
lm.dispose();
await backend.dispose();
