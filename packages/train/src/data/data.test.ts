import { blobSource, bytesSource, openSafetensors, writeSafetensors } from '@mamba/checkpoint';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { textTokens } from '../../test/helpers.ts';
import { Random } from '../random.ts';
import type { BatchSource } from './batches.ts';
import { Corpus } from './corpus.ts';
import { permutation } from './permutation.ts';
import { segmentsInOrder } from './segments.ts';
import { BYTE_END, binaryTokens, safetensorsTokens } from './tokens.ts';
import { shuffledWindows, windowsInOrder } from './windows.ts';

/** `count` tokens that all differ, so that each tells its place. */
const numbered = (count: number): Corpus =>
  Corpus.of([
    binaryTokens(bytesSource(new Uint8Array(Uint32Array.from({ length: count }, (_, i) => i).buffer)), 'uint32'),
  ]);

async function take(source: BatchSource, count: number) {
  const batches = [];
  for (let index = 0; index < count; index++) batches.push(await source.next());
  return batches;
}

describe('token files', () => {
  it('reads bytes, and ends them with a token of its own', async () => {
    const source = textTokens('abc');
    expect(source.length).toBe(4);
    expect([...(await source.read(1, 3))]).toEqual([98, 99, BYTE_END]);
    expect([...(await source.read(3, 1))]).toEqual([BYTE_END]);
  });

  it('reads integers from a Blob, piece by piece', async () => {
    for (const [type, values] of [
      ['uint16', Uint16Array.of(1, 65535, 3)],
      ['uint32', Uint32Array.of(1, 70000, 3)],
    ] as const) {
      const source = binaryTokens(blobSource(new Blob([values])), type);
      expect(source.length).toBe(3);
      expect([...(await source.read(1, 2))]).toEqual([values[1], 3]);
    }
  });

  it('reads the ids of a safetensors file', async () => {
    for (const [dtype, data] of [
      ['U8', Uint8Array.of(3, 4, 5)],
      ['U16', Uint16Array.of(3, 4, 5)],
      ['I32', Int32Array.of(3, 4, 5)],
      ['I64', BigInt64Array.of(3n, 4n, 5n)],
    ] as const) {
      const bytes = writeSafetensors([['ids', { dtype, shape: [3], bytes: new Uint8Array(data.buffer) }]]);
      const source = safetensorsTokens(await openSafetensors(bytesSource(bytes)));
      expect([...(await source.read(1, 2))]).toEqual([4, 5]);
    }
  });

  it('refuses what holds no tokens', async () => {
    expect(() => binaryTokens(bytesSource(new Uint8Array(3), 'odd.bin'), 'uint16')).toThrow(/odd.bin .*3 bytes/);
    const beyond = binaryTokens(bytesSource(new Uint8Array([0, 0, 0, 128])), 'uint32');
    await expect(beyond.read(0, 1)).rejects.toThrow(/the id 2147483648/);
    const floats = writeSafetensors([['x', { dtype: 'float32', shape: [1], data: new Float32Array(1) }]]);
    const file = await openSafetensors(bytesSource(floats));
    expect(() => safetensorsTokens(file)).toThrow(/got F32/);
    expect(() => safetensorsTokens(file, 'ids')).toThrow(/got ids, expected one of x/);
  });
});

describe('a corpus', () => {
  it('reads across sources, and marks where documents begin', async () => {
    const corpus = Corpus.of([textTokens('ab'), textTokens('c')], { end: BYTE_END });
    const { ids, begins } = await corpus.read(0, 5);
    expect([...ids]).toEqual([97, 98, BYTE_END, 99, BYTE_END]);
    expect([...begins]).toEqual([1, 0, 0, 1, 0]);
    expect([...(await corpus.part(2, 5).read(1, 1)).begins]).toEqual([1]);
    expect(await corpus.largest()).toBe(BYTE_END);
  });

  it('marks where a document begins within a source', async () => {
    const tokens = binaryTokens(bytesSource(new Uint8Array(Uint16Array.of(5, 9, 6, 9, 9, 7).buffer)), 'uint16');
    const corpus = Corpus.of([tokens], { end: 9 });
    expect([...(await corpus.read(0, 6)).begins]).toEqual([1, 0, 1, 0, 1, 1]);
    expect([...(await corpus.read(2, 3)).begins]).toEqual([1, 0, 1]);
  });

  it('keeps the last share apart', () => {
    const { train, heldOut } = numbered(100).split(0.1);
    expect([train.tokens, heldOut.tokens]).toEqual([90, 10]);
  });
});

describe('a permutation', () => {
  it('gives every number once', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 0, max: 2 ** 40 }), (count, seed) => {
        const order = permutation(count, new Random(seed));
        expect(new Set(Array.from({ length: count }, (_, index) => order(index)))).toEqual(
          new Set(Array.from({ length: count }, (_, index) => index)),
        );
      }),
      { numRuns: 50 },
    );
  });

  it('differs by seed, and keeps few things in their place', () => {
    const orders = [1, 2].map((seed) => {
      const order = permutation(1000, new Random(seed));
      return Array.from({ length: 1000 }, (_, index) => order(index));
    });
    expect(orders[0]).not.toEqual(orders[1]);
    expect(orders[0]!.filter((place, index) => place === index).length).toBeLessThan(20);
  });
});

describe('shuffled windows', () => {
  it('reads nearly every token once an epoch, in another order each time', async () => {
    const source = shuffledWindows(numbered(100), { batch: 1, length: 10, seed: 3 });
    const epochs = [new Set<number>(), new Set<number>()];
    const firsts: number[][] = [[], []];
    for (;;) {
      const { epoch } = source.state() as { epoch: number };
      const { ids, targets } = await source.next();
      // The epoch begins with its first window.
      const now = Number(source.state().epoch);
      if (now > 1) break;
      expect(now - epoch).toBeLessThanOrEqual(1);
      for (const id of ids) epochs[now]!.add(id);
      firsts[now]!.push(ids[0]!);
      for (const [index, id] of ids.entries()) expect(targets[index]).toBe(id === 99 ? -1 : id + 1);
    }
    for (const seen of epochs) expect(seen.size).toBeGreaterThanOrEqual(90);
    expect(firsts[0]).not.toEqual(firsts[1]);
    expect(firsts[0]).not.toEqual([...firsts[0]!].sort((a, b) => a - b));
  });

  it('has no target where a document ends, and a reset where one begins', async () => {
    const corpus = Corpus.of([textTokens('abc'), textTokens('defg')], { end: BYTE_END });
    const [whole] = await take(shuffledWindows(corpus, { batch: 1, length: 8, seed: 1 }), 1);
    const begin = whole!.ids.indexOf(100);
    expect(whole!.resets![begin]).toBe(1);
    expect(whole!.targets[begin - 1]).toBe(-1);
    expect(whole!.ids[begin - 1]).toBe(BYTE_END);
    expect(whole!.targets[begin]).toBe(101);
  });

  it('goes on from a saved place, and refuses that of other data', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 1, max: 4 }), async (before, batch) => {
        const make = () => shuffledWindows(numbered(64), { batch, length: 7, seed: 9 });
        const source = make();
        await take(source, before);
        const state = JSON.parse(JSON.stringify(source.state()));
        const again = make();
        again.restore(state);
        expect(await take(again, 5)).toEqual(await take(source, 5));
      }),
      { numRuns: 20 },
    );
    const state = shuffledWindows(numbered(64), { batch: 2, length: 7, seed: 9 }).state();
    const other = shuffledWindows(numbered(65), { batch: 2, length: 7, seed: 9 });
    expect(() => other.restore(state)).toThrow(/tokens 64, expected tokens 65/);
    expect(() => other.restore({ ...state, tokens: 65, next: -1 })).toThrow(/next is not valid: got -1/);
  });

  it('is not made of a corpus that is too short, or of documents of one token', async () => {
    expect(() => shuffledWindows(numbered(7), { batch: 1, length: 7, seed: 0 })).toThrow(/has 7 tokens/);
    const ends = Corpus.of([binaryTokens(bytesSource(new Uint8Array(20)), 'uint16')], { end: 0 });
    await expect(shuffledWindows(ends, { batch: 1, length: 4, seed: 0 }).next()).rejects.toThrow(/one token each/);
  });
});

describe('windows in order', () => {
  it('covers the corpus once, or as much of it as is wanted', async () => {
    const starts = async (windows?: number) => {
      const found: number[] = [];
      for await (const { ids, batch, length } of windowsInOrder(numbered(101), { batch: 4, length: 10, windows }))
        for (let row = 0; row < batch; row++) found.push(ids[row * length]!);
      return found;
    };
    expect(await starts()).toEqual([0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
    expect(await starts(3)).toEqual([0, 30, 60]);
  });
});

describe('segments in order', () => {
  it('goes through every lane, and then begins again', async () => {
    const source = segmentsInOrder(numbered(20), { batch: 2, length: 4 });
    const batches = await take(source, 3);
    expect(batches.map(({ ids, continues }) => [[...ids], continues])).toEqual([
      [[0, 1, 2, 3, 10, 11, 12, 13], false],
      [[4, 5, 6, 7, 14, 15, 16, 17], true],
      [[0, 1, 2, 3, 10, 11, 12, 13], false],
    ]);
    expect([...batches[1]!.targets]).toEqual([5, 6, 7, 8, 15, 16, 17, 18]);
  });

  it('goes on from a saved place', async () => {
    const source = segmentsInOrder(numbered(20), { batch: 2, length: 3 });
    await take(source, 2);
    const again = segmentsInOrder(numbered(20), { batch: 2, length: 3 });
    again.restore(source.state());
    expect(await take(again, 3)).toEqual(await take(source, 3));
  });

  it('needs lanes of a segment', () => {
    expect(() => segmentsInOrder(numbered(20), { batch: 4, length: 6 })).toThrow(/at most 5/);
  });
});
