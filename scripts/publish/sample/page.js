import { connectLanguageModels } from '@mamba/lm/worker';

const status = document.querySelector('[role=status]');
try {
  const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  const connection = connectLanguageModels(worker);
  const lm = await connection.load(new URL('kjv-mamba/', location.href).href);
  status.textContent = '';
  const words = lm.generate({ prompt: 'And God said', maxTokens: 200, temperature: 0.8, seed: 1 });
  for await (const { text } of words) document.querySelector('output').append(text);
} catch (error) {
  status.textContent = error.message;
}
