import type { Backend } from '@mamba/core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SamplingOptions, sampleLogits } from '../src/index.ts';
import { PenaltyWindow } from '../src/sampling/penalty-window.ts';
import { uniformNumbers } from '../src/sampling/random.ts';
import { expectError, PROVIDERS } from './helpers.ts';

/** Uniform numbers like those of `generate`: 24 bits, exact in float32. */
const uniforms = fc.integer({ min: 0, max: 2 ** 24 - 1 }).map((bits) => bits / 2 ** 24);
const values = fc.oneof(
  // On a grid, so that different logits differ by more than a backend's rounding.
  { weight: 8, arbitrary: fc.integer({ min: -768, max: 768 }).map((value) => value / 64) },
  // Ties, and values that are not finite.
  { weight: 2, arbitrary: fc.constantFrom(0, 1, -3) },
  { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Number.NEGATIVE_INFINITY) },
);
const rows = fc.array(values, { minLength: 1, maxLength: 40 });
const filters = fc.record(
  {
    temperature: fc.constantFrom(0.25, 0.7, 1, 1.5, 4),
    topK: fc.integer({ min: 1, max: 50 }),
    topP: fc.constantFrom(0.1, 0.5, 0.9, 0.99, 1),
    minP: fc.constantFrom(0, 0.01, 0.1, 0.5),
  },
  { requiredKeys: [] },
);

describe.each(PROVIDERS)('host sampling beside $name', (provider) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await provider.create();
  });
  afterAll(() => backend.dispose());

  const onDevice = async (logits: readonly number[], uniform: number, options: SamplingOptions): Promise<number> => {
    const shape = [1, logits.length];
    const row = backend.upload({ dtype: 'float64', shape, data: Float64Array.from(logits) });
    const number = backend.upload({ dtype: 'float64', shape: [1], data: Float64Array.of(uniform) });
    const { temperature, topK, topP, minP } = options;
    const drawn = backend.sample(row, number, { temperature, topK, topP, minP });
    try {
      return (await backend.read(drawn))[0]!;
    } finally {
      for (const tensor of [row, number, drawn]) tensor.dispose();
    }
  };

  it('draws the same token, except within rounding of a border', async () => {
    let differing = 0;
    await fc.assert(
      fc.asyncProperty(rows, uniforms, filters, async (logits, uniform, options) => {
        const host = sampleLogits(logits, uniform, options);
        const device = await onDevice(logits, uniform, options);
        if (host === device) return;
        differing++;
        const near: number[] = [];
        for (const shift of [-1e-5, 0, 1e-5])
          for (const scale of [1 - 1e-5, 1, 1 + 1e-5]) {
            const moved = {
              ...options,
              topP: Math.min(1, (options.topP ?? 1) * scale),
              minP: (options.minP ?? 0) * scale,
            };
            near.push(sampleLogits(logits, Math.min(Math.max(uniform + shift, 0), 1 - 2 ** -24), moved));
          }
        expect(near).toContain(device);
      }),
      { seed: 11, numRuns: 1500 },
    );
    // A float64 backend draws exactly the same.
    if (backend.precision === 'float64') expect(differing).toBe(0);
    else expect(differing).toBeLessThan(15);
  });

  it('equals argmax of the device', async () => {
    const infinity = Number.POSITIVE_INFINITY;
    for (const logits of [[1, infinity, 3, infinity], [Number.NaN, Number.NaN], [-infinity, -infinity], [5], [1, 3, 3]])
      for (const temperature of [0, 1])
        for (const uniform of [0, 0.999]) {
          const host = sampleLogits(logits, uniform, { temperature });
          expect(host).toBe(await onDevice(logits, uniform, { temperature }));
        }
  });
});

describe('host sampling', () => {
  /** The share of each id, over evenly spread uniform numbers. */
  const shares = (logits: readonly number[], options: SamplingOptions, previous: readonly number[] = []): number[] => {
    const draws = 2000;
    const counts = logits.map(() => 0);
    for (let index = 0; index < draws; index++)
      counts[sampleLogits(logits, (index + 0.5) / draws, options, previous)]! += 1 / draws;
    return counts;
  };
  const logs = (...probabilities: number[]): number[] => probabilities.map(Math.log);

  it('draws from the softmax after bias and penalties', () => {
    const softmax = (logits: readonly number[]): number[] => {
      const exps = logits.map(Math.exp);
      const total = exps.reduce((sum, value) => sum + value, 0);
      return exps.map((value) => value / total);
    };
    const close = (actual: readonly number[], expected: readonly number[]): void => {
      for (const [id, value] of expected.entries()) expect(Math.abs(actual[id]! - value)).toBeLessThan(2e-3);
    };
    const logits = [1, -1, 0.5, 2];
    close(shares(logits, {}), softmax(logits));
    close(shares(logits, { temperature: 2 }), softmax(logits.map((value) => value / 2)));
    close(shares(logits, { logitBias: { 1: 2.5, 3: -1 } }), softmax([1, 1.5, 0.5, 1]));
    close(shares(logits, { logitBias: { 3: Number.NEGATIVE_INFINITY } }), [...softmax([1, -1, 0.5]), 0]);
    // Presence counts once, frequency each time. Repetition divides positive logits and multiplies negative ones.
    const previous = [0, 1, 1];
    close(shares(logits, { presencePenalty: 0.5 }, previous), softmax([0.5, -1.5, 0.5, 2]));
    close(shares(logits, { frequencyPenalty: 0.5 }, previous), softmax([0.5, -2, 0.5, 2]));
    close(shares(logits, { repetitionPenalty: 2 }, previous), softmax([0.5, -2, 0.5, 2]));
    close(
      shares(logits, { repetitionPenalty: 2, presencePenalty: 0.25, frequencyPenalty: 0.5, temperature: 2 }, previous),
      softmax([-0.125, -1.625, 0.25, 1]),
    );
    close(shares(logits, { presencePenalty: 1, penaltyWindow: 2 }, previous), softmax([1, -2, 0.5, 2]));
    close(
      shares(logits, { presencePenalty: 1, penaltyWindow: Number.POSITIVE_INFINITY }, previous),
      softmax([0, -2, 0.5, 2]),
    );
  });

  it('keeps the typical tokens', () => {
    // Entropy 1.2206 nats; information 0.6931, 1.3863, 1.8971, 2.3026. The second is closest, then the first, the
    // third, the fourth.
    const logits = logs(0.5, 0.25, 0.15, 0.1);
    expect(shares(logits, { typicalP: 0.2 }).map((share) => share > 0)).toEqual([false, true, false, false]);
    expect(shares(logits, { typicalP: 0.3 }).map((share) => share > 0)).toEqual([true, true, false, false]);
    expect(shares(logits, { typicalP: 0.8 }).map((share) => share > 0)).toEqual([true, true, true, false]);
    expect(shares(logits, { typicalP: 0.95 }).every((share) => share > 0)).toBe(true);
    expect(shares(logits, { typicalP: 0 }).map((share) => share > 0)).toEqual([false, true, false, false]);
  });

  it('is greedy at temperature 0, after bias and penalties', () => {
    expect(sampleLogits([1, 2], 0.5, { temperature: 0 })).toBe(1);
    expect(sampleLogits([1, 2], 0.5, { temperature: 0, logitBias: { 0: 1.5 } })).toBe(0);
    expect(sampleLogits([1, 2], 0.5, { temperature: 0, repetitionPenalty: 3 }, [1])).toBe(0);
  });

  it('has uniform random numbers, from the first one on, for any seeds', () => {
    for (const step of [1, 256, 2 ** 32]) {
      const buckets = new Array<number>(16).fill(0);
      for (let seed = 0; seed < 4096; seed++) buckets[Math.floor(uniformNumbers(seed * step)() * 16)]! += 1;
      // 256 are expected in each bin; chi-square with 15 degrees of freedom exceeds 45 once in 10^4.
      expect(buckets.reduce((sum, count) => sum + (count - 256) ** 2 / 256, 0)).toBeLessThan(45);
    }
    expect(uniformNumbers(-1)()).not.toBe(uniformNumbers(1)());
  });

  it('counts the ids of the window', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(5), { maxLength: 60 }), fc.integer({ min: 1, max: 12 }), (ids, size) => {
        const window = new PenaltyWindow(size);
        for (const id of ids) window.push(id);
        const expected = new Map<number, number>();
        for (const id of ids.slice(-size)) expected.set(id, (expected.get(id) ?? 0) + 1);
        const sorted = (counts: Iterable<[number, number]>) => [...counts].sort(([a], [b]) => a - b);
        expect(sorted(window.counts)).toEqual(sorted(expected));
        const copy = window.clone();
        copy.push(9);
        expect(sorted(window.counts)).toEqual(sorted(expected));
      }),
      { seed: 12 },
    );
  });

  it('refuses options that are contradictory or out of range', async () => {
    const refuse = (options: object, ...words: string[]) =>
      expectError(() => sampleLogits([1, 2, 3], 0.5, options), 'invalid-argument', ...words);
    await refuse({ temperature: -1 }, 'temperature');
    await refuse({ temperature: 0, topK: 2 }, 'topK', 'temperature');
    await refuse({ temperature: 0, typicalP: 0.5 }, 'typicalP');
    await refuse({ typicalP: 1.5 }, 'typicalP');
    await refuse({ minP: -0.1 }, 'minP');
    await refuse({ repetitionPenalty: 0 }, 'repetitionPenalty');
    await refuse({ repetitionPenalty: -1 }, 'repetitionPenalty');
    await refuse({ frequencyPenalty: Number.NaN }, 'frequencyPenalty');
    await refuse({ presencePenalty: Number.POSITIVE_INFINITY }, 'presencePenalty');
    await refuse({ penaltyWindow: 5 }, 'penaltyWindow', 'penalty');
    await refuse({ presencePenalty: 1, penaltyWindow: 0 }, 'penaltyWindow');
    await refuse({ logitBias: { 3: 1 } }, 'logitBias', '0 to 2');
    await refuse({ logitBias: { a: 1 } }, 'logitBias');
    await refuse({ logitBias: { 1: Number.POSITIVE_INFINITY } }, 'logitBias');
    await refuse({ tempreature: 1 }, 'tempreature', 'unknown');
    await expectError(() => sampleLogits([], 0.5), 'invalid-argument', 'logits');
    await expectError(() => sampleLogits([1], 1), 'invalid-argument', 'uniform');
    await expectError(() => sampleLogits([1], 0.5, {}, [1]), 'invalid-argument', 'previous');
    // Neutral values are always accepted.
    expect(sampleLogits([1, 2], 0.5, { temperature: 0, topP: 1, minP: 0, typicalP: 1 })).toBe(1);
  });
});
