import type { Backend } from '@mamba/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Batcher,
  type GeneratedPiece,
  type GenerateOptions,
  generateTokens,
  type LanguageModel,
  loadModel,
  PrefixCache,
  prefill,
} from '../src/index.ts';
import { collect, expectError, FIXTURES, ids, PROVIDERS } from './helpers.ts';

const PROMPT = 'In the beginning God created the heaven and';

describe.each(PROVIDERS)('generation with options on $name', (provider) => {
  let backend: Backend;
  let kjv: LanguageModel;
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
  const run = async (options: Partial<GenerateOptions>): Promise<GeneratedPiece[]> => {
    const pieces = await collect(kjv.generate({ prompt: PROMPT, maxTokens: 12, ...options }));
    expect(backend.memory().tensors).toBe(resting);
    return pieces;
  };
  const idsOf = (pieces: readonly GeneratedPiece[]) => pieces.flatMap(({ id }) => (id === undefined ? [] : [id]));
  const textOf = (pieces: readonly GeneratedPiece[]) => pieces.map(({ text }) => text).join('');

  it('gives the same log-probabilities as score, from device and host', async () => {
    const prompt = kjv.encode(PROMPT);
    const device = await run({ prompt, temperature: 0.8, seed: 3, logProbs: true, block: 5 });
    const host = await run({ prompt, temperature: 0.8, seed: 3, topLogProbs: 3 });
    expect(idsOf(host)).toEqual(idsOf(device));
    expect(idsOf(await run({ prompt, temperature: 0.8, seed: 3 }))).toEqual(idsOf(device));
    const { logProbs } = await kjv.score([...prompt, ...idsOf(device)]);
    for (const [index, id] of idsOf(device).entries()) {
      const scored = logProbs[prompt.length - 1 + index]!;
      expect(device[index]!.logProb).toBeCloseTo(scored, 3);
      expect(host[index]!.logProb).toBeCloseTo(scored, 3);
      const top = host[index]!.topLogProbs!;
      expect(top).toHaveLength(3);
      expect(top[0]!.logProb).toBeGreaterThanOrEqual(top[2]!.logProb);
      expect(top[0]!.logProb).toBeGreaterThanOrEqual(host[index]!.logProb!);
      const own = top.find((entry) => entry.id === id);
      if (own !== undefined) expect(own.logProb).toBe(host[index]!.logProb);
    }
    expect(device.at(-1)!.logProb).toBeUndefined();
    expect((await run({}))[0]!.logProb).toBeUndefined();
  });

  it('uses the same random numbers on the host as on the device', async () => {
    const sampling = { temperature: 0.9, topK: 40, topP: 0.95, minP: 0.01, seed: 5 };
    // A typicalP just below 1 keeps all relevant tokens, and makes sampling run on the host.
    const host = await run({ ...sampling, topLogProbs: 1 });
    expect(idsOf(host)).toEqual(idsOf(await run(sampling)));
  });

  it('follows penalties and bias', async () => {
    const pieces = await run({ presencePenalty: 1000, maxTokens: 20 });
    const seen = [...kjv.encode(PROMPT), ...idsOf(pieces)];
    expect(new Set(idsOf(pieces)).size).toBe(20);
    expect(new Set(seen).size).toBe(seen.length - (kjv.encode(PROMPT).length - new Set(kjv.encode(PROMPT)).size));
    expect(idsOf(await run({ logitBias: { 77: 1000 } }))).toEqual(new Array(12).fill(77));
    const [likeliest] = idsOf(await run({ maxTokens: 1 }));
    const [next] = idsOf(await run({ maxTokens: 1, logitBias: { [likeliest!]: Number.NEGATIVE_INFINITY } }));
    expect(next).not.toBe(likeliest);
  });

  it('ends at a stop string, which may span tokens, and gives no part of it', async () => {
    const whole = textOf(await run({ maxTokens: 24 }));
    for (const [start, length] of [
      [5, 1],
      [7, 4],
      [11, 9],
      [0, 3],
    ] as const) {
      const stop = whole.slice(start, start + length);
      const pieces = await run({ maxTokens: 24, stop: ['never to be seen', stop] });
      expect(textOf(pieces)).toBe(whole.slice(0, whole.indexOf(stop)));
      expect(pieces.at(-1)!.finishReason).toBe('stop');
      expect(pieces.filter(({ finishReason }) => finishReason !== undefined)).toHaveLength(1);
    }
    // Text held back for a possible stop string is given at the end.
    const held = await run({ maxTokens: 24, stop: `${whole.slice(-5)}###` });
    expect(textOf(held)).toBe(whole);
    expect(held.at(-1)).toMatchObject({ text: whole.slice(-5), finishReason: 'length' });
  });

  it('refuses contradictory options at once', async () => {
    const refuse = (options: object, ...words: string[]) =>
      expectError(() => kjv.generate({ prompt: 'And', ...options }), 'invalid-argument', ...words);
    await refuse({ maxtokens: 5 }, 'maxtokens', 'unknown');
    await refuse({ stop: [''] }, 'stop');
    await refuse({ stop: 5 }, 'stop');
    await refuse({ topLogProbs: -1 }, 'topLogProbs');
    await refuse({ topLogProbs: 2, logProbs: false }, 'topLogProbs');
    await refuse({ logProbs: 'yes' }, 'logProbs');
    await refuse({ stopIds: [1024] }, 'stopIds');
    await refuse({ prefixCache: {} }, 'prefixCache');
    await refuse({ batcher: {} }, 'batcher');
    await refuse({ draft: {} }, 'draft');
    await refuse({ draft: kjv, batcher: new Batcher(kjv) }, 'draft');
    const state = await prefill(kjv.model, [1]);
    await refuse({ state, prefixCache: new PrefixCache(kjv) }, 'prefixCache');
    await refuse({ state, draft: kjv }, 'draft');
    state.dispose();
    const other = await loadModel(backend, `${FIXTURES}/mamba-tiny`);
    await refuse({ draft: other }, 'vocabulary');
    await refuse({ prefixCache: new PrefixCache(other) }, 'prefixCache');
    await refuse({ batcher: new Batcher(other) }, 'batcher');
    await expectError(() => other.generate({ prompt: [1], stop: 'x' }), 'unsupported', 'tokenizer');
    await expectError(() => kjv.generateBatch([]), 'invalid-argument', 'generateBatch');
    other.dispose();
  });

  describe('speculative decoding', () => {
    it('gives the greedy text whatever the draft, and frees everything', async () => {
      const greedy = idsOf(await run({ maxTokens: 17 }));
      for (const tokens of [1, 3, 8]) {
        const pieces = await run({ maxTokens: 17, draft: { model: kjv, tokens } });
        expect(idsOf(pieces)).toEqual(greedy);
        expect(pieces.at(-1)!.finishReason).toBe('length');
      }
      const stopped = await run({ maxTokens: 17, draft: kjv, stopIds: [greedy[5]!] });
      expect(idsOf(stopped)).toEqual(greedy.slice(0, greedy.indexOf(greedy[5]!)));
      let seen = 0;
      for await (const _ of kjv.generate({ prompt: PROMPT, draft: kjv })) if (++seen === 3) break;
      expect(backend.memory().tensors).toBe(resting);
    });

    it('gives the greedy ids with a draft whose guesses are mostly wrong', async () => {
      const [model, draft] = [
        await loadModel(backend, `${FIXTURES}/mamba-tiny`),
        await loadModel(backend, `${FIXTURES}/mamba-tiny-f16`),
      ];
      const options = { maxTokens: 20, presencePenalty: 2, logProbs: true };
      const straight = await collect(generateTokens(model.model, [3, 1, 4], options));
      const guessed = await collect(
        generateTokens(model.model, [3, 1, 4], { ...options, draft: { model: draft.model, tokens: 3 } }),
      );
      expect(guessed.map(({ id }) => id)).toEqual(straight.map(({ id }) => id));
      for (const [index, { logProb }] of guessed.entries()) expect(logProb).toBeCloseTo(straight[index]!.logProb!, 3);
      model.dispose();
      draft.dispose();
    });
  });

  describe('prefix cache', () => {
    it('starts from the longest prefix, and changes no token', async () => {
      const cache = new PrefixCache(kjv);
      const prompt = kjv.encode('And the LORD spake unto Moses, saying, Speak unto the children of Israel');
      const plain = await ids(generateTokens(kjv.model, prompt, { maxTokens: 9 }));
      for (let round = 0; round < 2; round++)
        expect(await ids(generateTokens(kjv.model, prompt, { maxTokens: 9, prefixCache: cache, chunk: 5 }))).toEqual(
          plain,
        );
      const found = cache.lookup([...prompt, ...plain, 5, 6]);
      expect(found!.length).toBe(prompt.length + plain.length - 1);
      expect(found!.state.positions).toEqual([prompt.length + plain.length - 1]);
      found!.state.dispose();
      const partly = cache.lookup([...prompt.slice(0, 12), 9, 9, 9]);
      expect(partly!.length).toBe(10);
      partly!.state.dispose();
      expect(cache.lookup([prompt[0]! + 1])).toBeUndefined();
      const conversation = [...prompt, ...plain, ...kjv.encode(' And he said')];
      const straight = await ids(generateTokens(kjv.model, conversation, { maxTokens: 5 }));
      expect(await ids(generateTokens(kjv.model, conversation, { maxTokens: 5, prefixCache: cache }))).toEqual(
        straight,
      );
      cache.dispose();
      expect(backend.memory().tensors).toBe(resting);
    });

    it('stays within its budget, and evicts the least recently used', async () => {
      const one = await prefill(kjv.model, [1]);
      const each = one.bytes + 4;
      const cache = new PrefixCache(kjv, { maxBytes: 3 * each });
      for (const id of [1, 2, 3]) cache.insert([id], one);
      cache.lookup([1])!.state.dispose();
      cache.insert([1], one);
      cache.insert([4], one);
      expect([cache.size, cache.bytes]).toEqual([3, 3 * each]);
      expect(cache.lookup([2])).toBeUndefined();
      for (const id of [1, 3, 4]) {
        const found = cache.lookup([id, 9]);
        expect(found!.length).toBe(1);
        found!.state.dispose();
      }
      const tiny = new PrefixCache(kjv, { maxBytes: each - 1 });
      tiny.insert([1], one);
      expect(tiny.size).toBe(0);
      cache.clear();
      expect([cache.size, cache.bytes]).toEqual([0, 0]);
      one.dispose();
      expect(backend.memory().tensors).toBe(resting);
      await expectError(() => new PrefixCache(kjv, { maxBytes: -1 }), 'invalid-argument', 'maxBytes');
    });
  });

  describe('batches', () => {
    const requests = (): GenerateOptions[] => [
      { prompt: PROMPT, maxTokens: 9 },
      { prompt: 'And', maxTokens: 14, temperature: 0.9, topK: 30, seed: 4 },
      { prompt: [5], maxTokens: 3 },
      { prompt: PROMPT, maxTokens: 8, temperature: 1, seed: 9, presencePenalty: 0.5, stop: 'e' },
      { prompt: 'The LORD is my shepherd; I shall', maxTokens: 11, logProbs: true },
      { prompt: PROMPT, maxTokens: 9, temperature: 0.9, topK: 30, seed: 4, chunk: 3 },
    ];

    it('gives each request the same as alone, and removes finished ones', async () => {
      const alone = await Promise.all(requests().map((request) => collect(kjv.generate(request))));
      const order: number[] = [];
      const together: GeneratedPiece[][] = alone.map(() => []);
      for await (const { index, ...piece } of kjv.generateBatch(requests())) {
        together[index]!.push(piece);
        if (piece.finishReason !== undefined) order.push(index);
      }
      for (const [index, pieces] of together.entries()) {
        expect(idsOf(pieces)).toEqual(idsOf(alone[index]!));
        expect(textOf(pieces)).toBe(textOf(alone[index]!));
        expect(pieces.at(-1)!.finishReason).toBe(alone[index]!.at(-1)!.finishReason);
      }
      expect(order).toHaveLength(6);
      expect(order.indexOf(2)).toBeLessThan(order.indexOf(1));
      for (const [index, { logProb }] of together[4]!.slice(0, -1).entries())
        expect(logProb).toBeCloseTo(alone[4]![index]!.logProb!, 3);
      expect(backend.memory().tensors).toBe(resting);
    });

    it('frees everything when it is left or aborted', async () => {
      let seen = 0;
      for await (const _ of kjv.generateBatch(requests())) if (++seen === 8) break;
      expect(backend.memory().tensors).toBe(resting);
      const aborter = new AbortController();
      const batch = kjv.generateBatch([...requests(), { prompt: 'And', signal: aborter.signal }]);
      await expectError(async () => {
        for await (const _ of batch) if (++seen === 20) aborter.abort();
      }, 'aborted');
      expect(backend.memory().tensors).toBe(resting);
    });

    it('joins concurrent generations in a batcher', async () => {
      const alone = await Promise.all(requests().map((request) => collect(kjv.generate(request))));
      const batcher = new Batcher(kjv, { maxRows: 3 });
      const cache = new PrefixCache(kjv);
      const started = requests().map((request) => collect(kjv.generate({ ...request, batcher, prefixCache: cache })));
      await new Promise((resolve) => setImmediate(resolve));
      expect(batcher.load.running).toBeLessThanOrEqual(3);
      const together = await Promise.all(started);
      for (const [index, pieces] of together.entries()) {
        expect(idsOf(pieces)).toEqual(idsOf(alone[index]!));
        expect(textOf(pieces)).toBe(textOf(alone[index]!));
      }
      expect(batcher.load).toEqual({ running: 0, waiting: 0 });
      // Two prompts have more than one token, and one of them is used three times.
      expect(cache.size).toBe(2);
      cache.dispose();
      expect(backend.memory().tensors).toBe(resting);
    });

    it('lets one request of a batcher fail, leave or be aborted without affecting others', async () => {
      const batcher = new Batcher(kjv, { maxRows: 4 });
      const greedy = await run({ maxTokens: 15 });
      const aborter = new AbortController();
      const foreign = await loadModel(backend, `${FIXTURES}/mamba-tiny`);
      const state = await prefill(foreign.model, [1]);
      const aborted = expectError(async () => {
        let seen = 0;
        for await (const _ of kjv.generate({ prompt: PROMPT, batcher, signal: aborter.signal, maxTokens: 500 }))
          if (++seen === 4) aborter.abort();
      }, 'aborted');
      const failed = expectError(() => collect(kjv.generate({ prompt: 'And', state, batcher })), 'foreign');
      const left = (async () => {
        for await (const _ of kjv.generate({ prompt: 'And', batcher, maxTokens: 500 })) break;
      })();
      const whole = collect(kjv.generate({ prompt: PROMPT, batcher, maxTokens: 15 }));
      await Promise.all([aborted, failed, left]);
      expect(idsOf(await whole)).toEqual(idsOf(greedy));
      state.dispose();
      foreign.dispose();
      await batcher.dispose();
      expect(backend.memory().tensors).toBe(resting);
    });

    it('decodes other requests while it reads a long prompt', async () => {
      const batcher = new Batcher(kjv, { maxRows: 3 });
      const events: string[] = [];
      const generate = async (name: string, length: number, maxTokens: number): Promise<void> => {
        const prompt = Array.from({ length }, (_, index) => 1 + (index % 999));
        for await (const { id } of kjv.generate({ prompt, batcher, maxTokens, stopIds: [], chunk: 8, block: 1 }))
          if (id !== undefined) events.push(name);
      };
      const running = generate('running', 1, 60);
      await new Promise((resolve) => setImmediate(resolve));
      const long = generate('long', 161, 1);
      const short = generate('short', 9, 1);
      await Promise.all([running, long, short]);
      const first = events.indexOf('long');
      // 160 tokens in chunks of at most 8, with one token of the running request between them.
      expect(events.slice(0, first).filter((name) => name === 'running').length).toBeGreaterThanOrEqual(20);
      expect(events.indexOf('short')).toBeLessThan(first);
      expect(backend.memory().tensors).toBe(resting);
    });

    it('runs long prompts in at most half of the rows', async () => {
      const small = await loadModel(backend, `${FIXTURES}/mamba-tiny`);
      const batcher = new Batcher(small, { maxRows: 2 });
      const events: string[] = [];
      const generate = async (name: string, length: number): Promise<void> => {
        const prompt = Array.from({ length }, (_, index) => 1 + (index % 95));
        await collect(small.generate({ prompt, batcher, maxTokens: 3, stopIds: [] }));
        events.push(name);
      };
      const names = ['first long', 'second long', 'third long'];
      await Promise.all([
        ...names.map((name) => generate(name, 1200)),
        ...['a', 'b', 'c'].map((name) => generate(name, 5)),
      ]);
      expect(events).toEqual(['a', 'b', 'c', ...names]);
      small.dispose();
      expect(backend.memory().tensors).toBe(resting);
    });

    it('refuses requests beyond its queue, and ends all when disposed', async () => {
      const batcher = new Batcher(kjv, { maxRows: 1, maxWaiting: 1 });
      const running = [0, 1].map(() => collect(kjv.generate({ prompt: 'And', batcher, maxTokens: 400 })));
      expect(batcher.full).toBe(true);
      await expectError(() => collect(kjv.generate({ prompt: 'And', batcher })), 'unavailable', 'queue');
      const ended = running.map((pieces) => expectError(() => pieces, 'aborted'));
      await batcher.dispose();
      await Promise.all(ended);
      expect(backend.memory().tensors).toBe(resting);
      await expectError(() => collect(kjv.generate({ prompt: 'And', batcher })), 'disposed');
    });
  });
});

describe('speculative sampling', () => {
  it('samples from the distribution of the target model', async () => {
    const backend = await PROVIDERS[1]!.create();
    const model = await loadModel(backend, `${FIXTURES}/mamba-tiny`);
    const draft = await loadModel(backend, `${FIXTURES}/mamba-tiny-f16`);
    let seed = 0;
    const tally = async (by: LanguageModel, guess: boolean): Promise<Map<string, number>> => {
      const counts = new Map<string, number>();
      for (let index = 0; index < 600; index++) {
        const options = { temperature: 60, topK: 5, seed: seed++, maxTokens: 2 };
        const speculation = guess ? { draft: { model: draft.model, tokens: 2 } } : {};
        const key = (await ids(generateTokens(by.model, [7, 7], { ...options, ...speculation }))).join();
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
      return counts;
    };
    // Two samples of one distribution over 25 pairs: chi-square with 24 degrees of freedom exceeds 60 once in 10^4.
    const chiSquare = (first: Map<string, number>, second: Map<string, number>): number => {
      let sum = 0;
      for (const key of new Set([...first.keys(), ...second.keys()])) {
        const [a, b] = [first.get(key) ?? 0, second.get(key) ?? 0];
        sum += (a - b) ** 2 / (a + b);
      }
      return sum;
    };
    const straight = await tally(model, false);
    expect(straight.size).toBeGreaterThan(10);
    expect(chiSquare(straight, await tally(model, true))).toBeLessThan(60);
    expect(chiSquare(straight, await tally(draft, false))).toBeGreaterThan(200);
    model.dispose();
    draft.dispose();
    expect(backend.memory().tensors).toBe(0);
    await backend.dispose();
  });
});
