import { readFile } from 'node:fs/promises';
import { bytesSource, checkpointStore } from '@mamba/checkpoint';
import { isMambaError } from '@mamba/core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodePieces, openTokenizer, Tokenizer } from '../src/index.ts';
import { collect, expectError, FIXTURES, golden, rows } from './helpers.ts';

const text = fc.string({
  unit: fc.oneof(
    fc.constantFrom(' ', '\n', '  ', "'s", 'the', 'é', '🎉', '日本', '\u00a0'),
    fc.constantFrom(...'abz,.;0'),
  ),
});

let tokenizer: Tokenizer;
let json: Record<string, unknown>;
beforeAll(async () => {
  tokenizer = (await openTokenizer(checkpointStore(`${FIXTURES}/kjv-mamba`)))!;
  json = JSON.parse(await readFile(`${FIXTURES}/kjv-mamba/tokenizer.json`, 'utf8')) as Record<string, unknown>;
});

describe('tokenizer', () => {
  it('encodes and decodes the golden prompt', async () => {
    const expected = await golden('kjv-mamba');
    const [ids] = rows(expected('input_ids'));
    expect(tokenizer.decode(ids!)).toMatch(/^Not according to the covenant/);
    expect(tokenizer.encode(tokenizer.decode(ids!))).toEqual(ids);
  });

  it('decodes what it encoded, for any text', () => {
    fc.assert(
      fc.property(fc.oneof(text, fc.string({ unit: 'binary' })), (sample) => {
        expect(tokenizer.decode(tokenizer.encode(sample))).toBe(sample);
      }),
      { seed: 2, numRuns: 300 },
    );
  });

  it('counts the bytes of tokens', async () => {
    const sample = 'In the beginning 日本 🎉<|endoftext|>';
    const bytes = tokenizer.encode(sample).reduce((sum, id) => sum + tokenizer.byteLength(id), 0);
    expect(bytes).toBe(new TextEncoder().encode(sample).length);
    expect(tokenizer.byteLength(5000)).toBe(0);
  });

  it('knows special tokens, and skips them on request', () => {
    const ids = tokenizer.encode('a<|endoftext|>b');
    expect(ids).toContain(0);
    expect(tokenizer.decode(ids)).toBe('a<|endoftext|>b');
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe('ab');
    expect(tokenizer.decode([])).toBe('');
    expect(tokenizer.decode([99999])).toBe('');
  });

  it('refuses what is not text or not ids', async () => {
    await expectError(() => tokenizer.encode('a\ud83c'), 'invalid-argument', 'surrogate');
    await expectError(() => tokenizer.encode(5 as unknown as string), 'invalid-argument', 'number');
    await expectError(() => tokenizer.decode([-1]), 'invalid-argument', '-1');
    await expectError(() => tokenizer.decode([1.5]), 'invalid-argument', '1.5');
  });

  it('accepts damaged files or refuses them with a MambaError', () => {
    const whole = structuredClone(json) as { model: { vocab: Record<string, number>; merges: unknown[] } };
    whole.model.vocab = Object.fromEntries(Object.entries(whole.model.vocab).slice(0, 300));
    whole.model.merges = whole.model.merges.slice(0, 20);
    const odd = fc.constantFrom<unknown>(
      ...[null, undefined, true, -1, 1e300, Number.NaN, '', 'x', '__proto__', [], [null], [[]], {}, { a: 1 }],
    );
    const outcomes = { used: 0, refused: 0 };
    fc.assert(
      fc.property(fc.array(fc.nat(99), { minLength: 1, maxLength: 6 }), odd, fc.boolean(), (path, value, remove) => {
        const json = structuredClone(whole);
        let holder: Record<string, unknown> = json;
        for (const [depth, step] of path.entries()) {
          const keys = Object.keys(holder);
          if (keys.length === 0) return;
          const key = keys[step % keys.length]!;
          const inner = holder[key];
          if (depth < path.length - 1 && typeof inner === 'object' && inner !== null)
            holder = inner as Record<string, unknown>;
          else {
            if (remove) delete holder[key];
            else holder[key] = value;
            break;
          }
        }
        try {
          const tokenizer = new Tokenizer(json, {});
          const ids = tokenizer.encode('And God said, Let there be light! 12 é😀');
          tokenizer.decode(ids);
          const decoder = tokenizer.streamDecoder();
          for (const id of ids) {
            decoder.push(id);
            tokenizer.byteLength(id);
          }
          decoder.end();
          outcomes.used++;
        } catch (error) {
          if (!isMambaError(error)) throw error;
          outcomes.refused++;
        }
      }),
      { seed: 31, numRuns: 2000 },
    );
    expect(outcomes.used).toBeGreaterThan(100);
    expect(outcomes.refused).toBeGreaterThan(100);
  });

  it('refuses damaged files', async () => {
    const { model: _, ...withoutModel } = json;
    for (const broken of [
      null,
      [],
      {},
      7,
      withoutModel,
      { ...json, model: { type: 'Nonsense' } },
      { ...json, added_tokens: 3 },
    ])
      await expectError(() => new Tokenizer(broken, {}, 'x.json'), 'invalid-file', 'x.json');
    const pieces = { ...json, pre_tokenizer: { type: 'Nonsense' } };
    await expectError(() => new Tokenizer(pieces, {}, 'x.json'), 'invalid-file', 'x.json');
    await expectError(() => new Tokenizer(json, null, 'x.json'), 'invalid-file', 'x.json');
  });
});

describe('stream decoding', () => {
  it('never splits a character that spans tokens', () => {
    const sample = 'word 🎉 日本語 naïve 👩‍👩‍👧 end';
    const ids = tokenizer.encode(sample);
    expect(ids.length).toBeGreaterThan(30);
    const decoder = tokenizer.streamDecoder();
    const pieces = ids.map((id) => decoder.push(id));
    expect(pieces.join('')).toBe(sample);
    expect(decoder.end()).toBe('');
    for (const piece of pieces) expect(piece).not.toMatch(/\ufffd|\p{Surrogate}/u);
    expect(pieces.filter((piece) => piece === '').length).toBeGreaterThan(10);
  });

  it('joins to the text of all ids, for any ids', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1100 }), { maxLength: 200 }), fc.boolean(), (ids, skip) => {
        const options = { skipSpecialTokens: skip };
        const decoder = tokenizer.streamDecoder(options);
        const streamed = ids.map((id) => decoder.push(id)).join('') + decoder.end();
        expect(streamed).toBe(tokenizer.decode(ids, options));
      }),
      { seed: 3, numRuns: 300 },
    );
  });

  it('gives half a character at the end as U+FFFD, and starts over', () => {
    const [first, ...rest] = tokenizer.encode('🎉');
    const decoder = tokenizer.streamDecoder();
    expect(decoder.push(first!)).toBe('');
    expect(decoder.end()).toBe('\ufffd');
    expect([first!, ...rest].map((id) => decoder.push(id)).join('')).toBe('🎉');
  });

  it('holds back little if the output is not text', () => {
    const [first] = tokenizer.encode('🎉');
    const decoder = tokenizer.streamDecoder();
    const pieces = Array.from({ length: 300 }, () => decoder.push(first!)).join('') + decoder.end();
    expect(pieces).toBe('\ufffd'.repeat(300));
  });
});

describe('encoding in pieces', () => {
  const pieces = async (of: Tokenizer, sample: string, read: number): Promise<readonly number[][]> =>
    (await collect(encodePieces(of, bytesSource(new TextEncoder().encode(sample)), read))).map((piece) => [...piece]);

  it('gives the same ids as one call, on the validation text', async () => {
    const sample = await readFile(`${FIXTURES}/kjv-mamba/validation.txt`, 'utf8');
    const whole = tokenizer.encode(sample);
    expect(whole).toHaveLength(20496);
    for (const read of [100, 4096]) {
      const parts = await pieces(tokenizer, sample, read);
      expect(parts.length).toBeGreaterThan(10);
      expect(parts.flat()).toEqual(whole);
    }
  });

  it('gives the same ids as one call, on any text split anywhere', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(text, fc.string({ unit: 'binary' })),
        fc.integer({ min: 1, max: 9 }),
        async (sample, read) => {
          expect((await pieces(tokenizer, sample, read)).flat()).toEqual(tokenizer.encode(sample));
        },
      ),
      { seed: 4, numRuns: 300 },
    );
  });

  it('encodes the text as a whole if the tokenizer may look across a split', async () => {
    const added = [{ id: 0, content: 'the end', special: false, rstrip: false, lstrip: false, normalized: false }];
    for (const change of [
      { pre_tokenizer: null },
      { pre_tokenizer: { type: 'ByteLevel', add_prefix_space: true } },
      { normalizer: { type: 'Lowercase' } },
      { added_tokens: added },
    ]) {
      const other = new Tokenizer({ ...json, ...change });
      expect(other.splitsBeforeSpaces).toBe(false);
      expect(await pieces(other, 'this is the end of it', 4)).toHaveLength(1);
    }
    expect(tokenizer.splitsBeforeSpaces).toBe(true);
  });

  it('refuses bytes that are not UTF-8, also at a split', async () => {
    for (const bytes of [Uint8Array.of(65, 0xff, 65), Uint8Array.of(65, 0xe2, 0x82)])
      await expectError(
        () => collect(encodePieces(tokenizer, bytesSource(bytes, 'x.txt'), 1)),
        'invalid-file',
        'x.txt',
      );
  });
});
