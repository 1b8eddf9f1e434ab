import type { Backend } from '@mamba/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateTokens, type LanguageModel, loadModel, prefill } from '../src/index.ts';
import { collect, expectError, FIXTURES, golden, ids, PROVIDERS, rows } from './helpers.ts';

const RANDOM = ['mamba-tiny', 'mamba-tiny-biased', 'mamba-tiny-f16', 'mamba-tiny-bf16', 'falcon-mamba-tiny'];

describe.each(PROVIDERS)('generation on $name', (provider) => {
  let backend: Backend;
  let kjv: LanguageModel;
  /** Number of tensors while nothing is generated. */
  let resting: number;
  beforeAll(async () => {
    backend = await provider.create();
    kjv = await loadModel(backend, `${FIXTURES}/kjv-mamba`);
    resting = backend.memory().tensors;
  });
  afterAll(async () => {
    kjv.dispose();
    expect(backend.memory().tensors).toBe(0);
    await backend.dispose();
  });

  it.each(RANDOM)('continues %s with the golden ids', async (folder) => {
    const expected = await golden(folder);
    const lm = await loadModel(backend, `${FIXTURES}/${folder}`);
    const continuations = rows(expected('greedy_ids'));
    for (const [row, prompt] of rows(expected('input_ids')).entries()) {
      const greedy = continuations[row]!;
      expect(await ids(generateTokens(lm.model, prompt, { maxTokens: greedy.length }))).toEqual(greedy);
    }
    lm.dispose();
    expect(backend.memory().tensors).toBe(resting);
  });

  it('continues the golden prompt of kjv-mamba with the golden ids and their text', async () => {
    const expected = await golden('kjv-mamba');
    const [greedy] = rows(expected('greedy_ids'));
    const prompt = kjv.decode(rows(expected('input_ids'))[0]!);
    const pieces = await collect(kjv.generate({ prompt, maxTokens: greedy!.length }));
    expect(pieces.at(-1)).toEqual({
      id: undefined,
      text: '',
      logProb: undefined,
      topLogProbs: undefined,
      finishReason: 'length',
    });
    expect(pieces.slice(0, -1).map(({ id }) => id)).toEqual(greedy);
    expect(pieces.map(({ text }) => text).join('')).toBe(kjv.decode(greedy!));
    expect(backend.memory().tensors).toBe(resting);
  });

  it('names the token after the first 15 in induction-heads', async () => {
    const expected = await golden('induction-heads');
    const lm = await loadModel(backend, `${FIXTURES}/induction-heads`);
    const answers = [...expected('answers').data];
    for (const [row, prompt] of rows(expected('input_ids')).entries())
      expect(await ids(generateTokens(lm.model, prompt, { maxTokens: 1 }))).toEqual([answers[row]]);
    lm.dispose();
  });

  it('does not depend on chunk and block', async () => {
    const sampling = { temperature: 0.9, topK: 50, topP: 0.95, minP: 0.01, seed: 7, maxTokens: 9 };
    const prompt = 'In the beginning God created the heaven and';
    const run = async (chunk: number, block: number): Promise<(number | undefined)[]> =>
      (await collect(kjv.generate({ ...sampling, prompt, chunk, block }))).map(({ id }) => id);
    const one = await run(256, 4);
    expect(one).toHaveLength(10);
    expect(await run(1, 1)).toEqual(one);
    expect(await run(3, 9)).toEqual(one);
    expect(await run(5, 100)).toEqual(one);
  });

  it('gives the same text for the same seed only', async () => {
    const run = async (seed: number | undefined): Promise<string> =>
      (await collect(kjv.generate({ prompt: 'And', temperature: 1, seed, maxTokens: 12 })))
        .map(({ text }) => text)
        .join('');
    expect(await run(1)).toBe(await run(1));
    expect(await run(2)).not.toBe(await run(1));
    // 12 tokens of about 5 bits each: two random seeds practically never agree.
    expect(await run(undefined)).not.toBe(await run(undefined));
  });

  it('ends when a stop id is drawn, without giving it', async () => {
    const expected = await golden('kjv-mamba');
    const [greedy] = rows(expected('greedy_ids'));
    const stop = greedy![6]!;
    const first = greedy!.indexOf(stop);
    const [prompt] = rows(expected('input_ids'));
    const pieces = await collect(kjv.generate({ prompt: prompt!, stopIds: [stop], maxTokens: 48 }));
    expect(pieces.map(({ id }) => id)).toEqual([...greedy!.slice(0, first), undefined]);
    expect(pieces.at(-1)!.finishReason).toBe('stop');
    expect(backend.memory().tensors).toBe(resting);
  });

  it('replaces an empty prompt by the bos token', async () => {
    const empty = await collect(kjv.generate({ prompt: '', maxTokens: 5 }));
    expect(await collect(kjv.generate({ prompt: [0], maxTokens: 5 }))).toEqual(empty);
    expect(await collect(kjv.generate({ prompt: [], maxTokens: 5 }))).toEqual(empty);
  });

  it('continues from a state without changing it', async () => {
    const tokens = kjv.encode('In the beginning God created the heaven and the earth.');
    const whole = await ids(generateTokens(kjv.model, tokens, { maxTokens: 6 }));
    for (const cut of [tokens.length - 1, 4]) {
      const state = await prefill(kjv.model, tokens.slice(0, cut), { chunk: 3 });
      expect(await ids(generateTokens(kjv.model, tokens.slice(cut), { state, maxTokens: 6 }))).toEqual(whole);
      expect(await ids(generateTokens(kjv.model, tokens.slice(cut), { state, maxTokens: 6 }))).toEqual(whole);
      state.dispose();
    }
    expect(backend.memory().tensors).toBe(resting);
  });

  it('frees everything when the loop is left, at any token', async () => {
    for (const leaveAt of [1, 3, 4, 5]) {
      let seen = 0;
      for await (const { id } of kjv.generate({ prompt: 'And God said', maxTokens: 20, block: 4, temperature: 1 })) {
        expect(id).toBeDefined();
        if (++seen === leaveAt) break;
      }
      expect(backend.memory().tensors).toBe(resting);
    }
    // A generator that was never started has nothing to free.
    kjv.generate({ prompt: 'And' });
    expect(backend.memory().tensors).toBe(resting);
  });

  it('rejects with aborted, before, while reading the prompt and between tokens', async () => {
    const run = async (signal: AbortSignal, onText: () => void): Promise<void> => {
      for await (const _ of kjv.generate({ prompt: 'And God said unto them all', maxTokens: 50, chunk: 1, signal }))
        onText();
    };
    await expectError(() => run(AbortSignal.abort('enough'), () => {}), 'aborted');
    const later = new AbortController();
    setImmediate(() => later.abort());
    await expectError(() => run(later.signal, () => expect.unreachable()), 'aborted');
    const between = new AbortController();
    let seen = 0;
    await expectError(() => run(between.signal, () => ++seen === 5 && between.abort()), 'aborted');
    expect(seen).toBeLessThan(10);
    expect(backend.memory().tensors).toBe(resting);
  });

  it('lets timers run between tokens', async () => {
    let ticks = 0;
    const timer = setInterval(() => ticks++, 0);
    await collect(kjv.generate({ prompt: 'And God said unto them', maxTokens: 20, chunk: 1, block: 1 }));
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(1);
  });

  it('refuses wrong options at once', async () => {
    const refuse = (options: object, ...words: string[]) =>
      expectError(() => kjv.generate({ prompt: 'And', ...options }), 'invalid-argument', ...words);
    await refuse({ maxTokens: 0 }, 'maxTokens', '0');
    await refuse({ maxTokens: 1.5 }, 'maxTokens');
    await refuse({ chunk: -1 }, 'chunk');
    await refuse({ block: Number.NaN }, 'block');
    await refuse({ temperature: -1 }, 'temperature');
    await refuse({ temperature: Number.NaN }, 'temperature');
    await refuse({ temperature: 1, topK: 0 }, 'topK');
    await refuse({ temperature: 1, topP: 1.5 }, 'topP');
    await refuse({ topK: 5 }, 'topK', 'temperature');
    await refuse({ seed: 0.5 }, 'seed');
    await refuse({ signal: 5 }, 'signal', 'AbortSignal');
    await refuse({ seed: 5 }, 'seed', 'temperature');
    await refuse({ prompt: undefined }, 'prompt');
  });

  it('refuses ids outside the vocabulary, and frees everything', async () => {
    for (const prompt of [[1024], [3, 1024], [1024, 3], [-1], [0.5]])
      await expectError(() => collect(kjv.generate({ prompt })), 'invalid-argument');
    expect(backend.memory().tensors).toBe(resting);
  });

  it('refuses text for a model without a tokenizer', async () => {
    const lm = await loadModel(backend, `${FIXTURES}/mamba-tiny`);
    await expectError(() => lm.generate({ prompt: 'text' }), 'unsupported', 'tokenizer.json', 'ids');
    const pieces = await collect(lm.generate({ prompt: [1], maxTokens: 2, stopIds: [] }));
    expect(pieces.map(({ text }) => text)).toEqual(['', '', '']);
    lm.dispose();
    await expectError(() => collect(lm.generate({ prompt: [1] })), 'disposed');
  });

  it('leaks nothing when loading fails or is aborted', async () => {
    const aborter = new AbortController();
    const onProgress = (loaded: number): void => void (loaded === 5 && aborter.abort());
    await expectError(
      () => loadModel(backend, `${FIXTURES}/mamba-tiny`, { signal: aborter.signal, onProgress }),
      'aborted',
    );
    await expectError(() => loadModel(backend, `${FIXTURES}/absent`), 'invalid-file', 'absent');
    expect(backend.memory().tensors).toBe(resting);
  });
});
