import type { Backend } from '@mamba/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LanguageModel, loadModel, prefill } from '../src/index.ts';
import { expectError, FIXTURES, golden, PROVIDERS, rows } from './helpers.ts';

describe.each(PROVIDERS)('hidden states on $name', (provider) => {
  let backend: Backend;
  let lm: LanguageModel;
  let prompt: number[];
  /** `[tokens, dModel]` of the first sequence, for each layer. */
  let expected: Float64Array[];
  let resting: number;
  beforeAll(async () => {
    backend = await provider.create();
    lm = await loadModel(backend, `${FIXTURES}/mamba-tiny`);
    const values = await golden('mamba-tiny');
    prompt = rows(values('input_ids'))[0]!;
    const size = prompt.length * lm.config.dModel;
    expected = Array.from({ length: lm.config.blocks.length + 1 }, (_, layer) =>
      (values(`hidden_states.${layer}`).data as Float64Array).subarray(0, size),
    );
    resting = backend.memory().tensors;
  });
  afterAll(() => backend.dispose());

  const close = (actual: ArrayLike<number>, wanted: ArrayLike<number>): void => {
    expect(actual.length).toBe(wanted.length);
    let worst = 0;
    for (let index = 0; index < wanted.length; index++)
      worst = Math.max(worst, Math.abs(actual[index]! - wanted[index]!));
    expect(worst).toBeLessThan(backend.precision === 'float64' ? 1e-10 : 1e-3);
  };

  it('equal the golden ones for all layers and tokens, in any chunks', async () => {
    for (const chunk of [3, 128]) {
      const { layers, values, tokens, dModel } = await lm.hiddenStates(prompt, {
        layers: 'all',
        pooling: 'none',
        chunk,
      });
      expect(layers).toEqual(expected.map((_, layer) => layer));
      expect(tokens * dModel).toBe(values[0]!.length);
      for (const [layer, wanted] of expected.entries()) close(values[layer]!, wanted);
    }
    expect(backend.memory().tensors).toBe(resting);
  });

  it('are pooled to the last token and to the mean', async () => {
    const { dModel } = lm.config;
    const last = await lm.hiddenStates(prompt, { chunk: 4 });
    expect(last.layers).toEqual([lm.config.blocks.length]);
    close(last.values[0]!, expected.at(-1)!.slice(-dModel));
    const mean = await lm.hiddenStates(prompt, { layers: [1, -2], pooling: 'mean', chunk: 4 });
    expect(mean.layers).toEqual([1, lm.config.blocks.length - 1]);
    for (const [index, layer] of mean.layers.entries()) {
      const wanted = Array.from({ length: dModel }, (_, at) => {
        let sum = 0;
        for (let token = 0; token < prompt.length; token++) sum += expected[layer]![token * dModel + at]!;
        return sum / prompt.length;
      });
      close(mean.values[index]!, wanted);
    }
    const state = await prefill(lm.model, prompt.slice(0, 5));
    close((await lm.hiddenStates(prompt.slice(5), { state })).values[0]!, expected.at(-1)!.slice(-dModel));
    state.dispose();
    expect(backend.memory().tensors).toBe(resting);
  });

  it('are refused for wrong options, and free everything', async () => {
    const refuse = (options: object, ...words: string[]) =>
      expectError(() => lm.hiddenStates(prompt, options), 'invalid-argument', ...words);
    await refuse({ layers: [9] }, 'layers');
    await refuse({ layers: [] }, 'layers');
    await refuse({ layers: 2 }, 'layers');
    await refuse({ pooling: 'max' }, 'pooling');
    await refuse({ chunk: 0 }, 'chunk');
    await refuse({ layer: 1 }, 'unknown');
    await expectError(() => lm.hiddenStates([]), 'invalid-argument', 'no tokens');
    await expectError(() => lm.hiddenStates([96]), 'invalid-argument', '96');
    await expectError(() => lm.hiddenStates('text'), 'unsupported');
    await expectError(() => lm.hiddenStates(prompt, { signal: AbortSignal.abort() }), 'aborted');
    expect(backend.memory().tensors).toBe(resting);
  });
});
