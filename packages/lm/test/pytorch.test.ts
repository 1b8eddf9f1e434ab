/** Models saved by PyTorch, compared with the results of transformers in float64. */
import { fileURLToPath } from 'node:url';
import { openFile, openSafetensors } from '@mamba/checkpoint';
import { reference } from '@mamba/reference';
import { expect, it } from 'vitest';
import { generateTokens, loadModel } from '../src/index.ts';
import { ids, rows } from './helpers.ts';

const DATA = fileURLToPath(new URL('../../checkpoint/test/data', import.meta.url));

it.each(['mamba-original', 'mamba-original-bf16'])(
  '%s gives the logits that it gave where it was made',
  async (name) => {
    const backend = await reference().create();
    const lm = await loadModel(backend, `${DATA}/${name}`);
    const file = await openSafetensors(await openFile(`${DATA}/${name}/expected.safetensors`));
    const [input, expected] = [await file.read('input_ids'), await file.read('logits')];
    const { logits } = await lm.model.forward(backend.upload(input), { logits: 'all' });
    const values = Array.from(await backend.read(logits!));
    const wanted = Array.from(expected.data);
    const scale = Math.max(...wanted.map(Math.abs));
    // transformers computes some parts in float32.
    expect(Math.max(...wanted.map((value, at) => Math.abs(value - values[at]!))) / scale).toBeLessThan(1e-5);
    if (file.tensors.has('greedy_ids')) {
      const greedy = rows(await file.read('greedy_ids'));
      for (const [row, prompt] of rows(input).entries())
        expect(await ids(generateTokens(lm.model, prompt, { maxTokens: 16, stopIds: [] }))).toEqual(greedy[row]);
    }
    await file.close();
    await backend.dispose();
  },
);
