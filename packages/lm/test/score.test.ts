import { readFile } from 'node:fs/promises';
import type { Backend } from '@mamba/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytesSource, type LanguageModel, loadModel, logProbs, openFile, prefill } from '../src/index.ts';
import { collect, expectError, FIXTURES, golden, PROVIDERS, rows } from './helpers.ts';

interface Validation {
  readonly tokens: number;
  readonly predicted_bytes: number;
  readonly windows: { readonly length: number; readonly bits_per_byte: number };
  readonly one_stream: { readonly bits_per_byte: number };
}

describe.each(PROVIDERS)('scores on $name', (provider) => {
  let backend: Backend;
  let kjv: LanguageModel;
  let resting: number;
  beforeAll(async () => {
    backend = await provider.create();
    kjv = await loadModel(backend, `${FIXTURES}/kjv-mamba`);
    resting = backend.memory().tensors;
  });
  afterAll(() => backend.dispose());

  it('equal the log-probabilities of the golden logits', async () => {
    const expected = await golden('kjv-mamba');
    const [ids] = rows(expected('input_ids'));
    const logits = expected('logits').data as Float64Array;
    const { logProbs: values } = await kjv.score(ids!, { chunk: 7 });
    expect(values).toHaveLength(ids!.length - 1);
    const vocab = kjv.config.vocabSize;
    for (const [index, value] of values.entries()) {
      const row = logits.subarray(index * vocab, (index + 1) * vocab);
      const total = row.reduce((sum, logit) => sum + Math.exp(logit), 0);
      const exact = row[ids![index + 1]!]! - Math.log(total);
      expect(Math.abs(value - exact)).toBeLessThan(backend.precision === 'float64' ? 1e-11 : 1e-4);
    }
    expect(backend.memory().tensors).toBe(resting);
  });

  it('do not depend on chunks, and are the same from text, ids and pieces of ids', async () => {
    const text = 'And the LORD spake unto Moses, saying, Speak unto the children of Israel';
    const ids = kjv.encode(text);
    const whole = (await kjv.score(text)).logProbs;
    // Chunks change results by rounding at most.
    const close = (values: ArrayLike<number>): void => {
      expect(values).toHaveLength(whole.length);
      for (const [index, value] of whole.entries()) expect(values[index]).toBeCloseTo(value, 4);
    };
    close((await kjv.score(ids, { chunk: 1 })).logProbs);
    close((await kjv.score(ids, { chunk: 5 })).logProbs);
    const parts = [ids.slice(0, 1), [], ids.slice(1, 8), ids.slice(8)];
    close((await collect(logProbs(kjv.model, parts, { chunk: 3 }))).flatMap((part) => [...part]));

    const state = await prefill(kjv.model, ids.slice(0, 6));
    const rest = (await kjv.score(ids.slice(6), { state, chunk: 4 })).logProbs;
    for (const [index, value] of rest.entries()) expect(value).toBeCloseTo(whole[index + 6]!, 4);
    expect(state.disposed).toBe(false);
    state.dispose();
    expect(backend.memory().tensors).toBe(resting);
  });

  it('reset the state at each window', async () => {
    const ids = kjv.encode('And the LORD spake unto Moses, saying, Speak unto the children of Israel');
    const { logProbs: values } = await kjv.score(ids, { window: 5, chunk: 3 });
    for (let start = 0; start < ids.length - 1; start += 5) {
      const alone = (await kjv.score(ids.slice(start, start + 6))).logProbs;
      for (const [index, value] of alone.entries()) expect(values[start + index]).toBeCloseTo(value, 4);
    }
    expect(values).toHaveLength(ids.length - 1);
  });

  it('free everything when the loop is left, aborted, or fails', async () => {
    const ids = kjv.encode('And the LORD spake unto Moses, saying');
    for await (const _ of logProbs(kjv.model, [ids], { chunk: 2 })) break;
    expect(backend.memory().tensors).toBe(resting);
    await expectError(() => kjv.score(ids, { signal: AbortSignal.abort() }), 'aborted');
    for (const id of [5000, -1, 0.5, 2 ** 32 + 1, Number.NaN])
      await expectError(() => kjv.score([1, 2, id], { chunk: 1 }), 'invalid-argument', String(id));
    await expectError(() => kjv.score(ids, { window: 0 }), 'invalid-argument', 'window');
    await expectError(() => kjv.perplexity('A'), 'invalid-argument', 'at least two');
    await expectError(() => kjv.perplexity(''), 'invalid-argument', 'at least two');
    const bytes = bytesSource(Uint8Array.of(65, 66, 0xff), 'x.txt');
    await expectError(() => kjv.perplexity(bytes), 'invalid-file', 'x.txt');
    expect(backend.memory().tensors).toBe(resting);
  });

  // The reference backend would take two minutes; `mamba-lm score --backend reference` does it.
  it.runIf(provider.name === 'cpu')(
    'reaches the bits per byte of validation.json, both ways',
    async () => {
      const json = await readFile(`${FIXTURES}/kjv-mamba/validation.json`, 'utf8');
      const { tokens, predicted_bytes: bytes, windows, one_stream: stream } = JSON.parse(json) as Validation;
      const file = await openFile(`${FIXTURES}/kjv-mamba/validation.txt`);
      let last = 0;
      const whole = await kjv.perplexity(file, { onProgress: (_, read) => (last = read) });
      expect(whole).toMatchObject({ tokens, predictedTokens: tokens - 1, predictedBytes: bytes });
      expect(last).toBe(60_000);
      expect(Math.abs(whole.bitsPerByte - stream.bits_per_byte)).toBeLessThan(1e-4);
      const cut = await kjv.perplexity(file, { window: windows.length });
      expect(Math.abs(cut.bitsPerByte - windows.bits_per_byte)).toBeLessThan(1e-4);
      await file.close();
    },
    300_000,
  );

  it('scores a text like a file with it', async () => {
    const text = (await readFile(`${FIXTURES}/kjv-mamba/validation.txt`, 'utf8')).slice(0, 300);
    const asText = await kjv.perplexity(text, { window: 64 });
    const asFile = await kjv.perplexity(bytesSource(new TextEncoder().encode(text)), { window: 64, chunk: 50 });
    expect(asText.bitsPerByte).toBeCloseTo(asFile.bitsPerByte, 5);
    expect(asText.perplexity).toBeCloseTo(Math.exp(asText.nll / asText.predictedTokens), 10);
    const { logProbs: values } = await kjv.score(text, { window: 64 });
    expect(asText.nll).toBeCloseTo(-values.reduce((sum, value) => sum + value, 0), 3);
  });
});
