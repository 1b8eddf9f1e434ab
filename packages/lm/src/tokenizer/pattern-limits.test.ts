import { readFileSync } from 'node:fs';
import { Script } from 'node:vm';
import { describe, expect, it, vi } from 'vitest';
import { collect, expectError, FIXTURES, loadWith } from '../../test/helpers.ts';
import { Tokenizer } from './tokenizer.ts';

const KJV = JSON.parse(readFileSync(`${FIXTURES}/kjv-mamba/tokenizer.json`, 'utf8')) as Record<string, unknown>;
const make = (parts: object): Tokenizer => new Tokenizer({ ...KJV, ...parts }, {}, 'x.json');
const regex = (pattern: string): object => ({ Regex: pattern });
const replace = (pattern: object, content: string): object => ({ type: 'Replace', pattern, content });
const sequence = (...normalizers: object[]): object => ({ type: 'Sequence', normalizers });
const added = (content: string): object[] => [{ id: 1, content, special: false, normalized: true }];
/** Forty characters on which the patterns below backtrack exponentially. */
const TEXT = `${'a'.repeat(40)}!`;
/** The limit of each call on this text. */
const LIMIT = 'no end after 3001 ms';

/**
 * Calls `act`, in which patterns are interrupted after a hundredth of their limit. Those that are tried never end, so
 * nobody has to wait for the whole of it.
 */
async function hurried(act: () => Promise<void>): Promise<void> {
  const run = Script.prototype.runInContext;
  const spy = vi.spyOn(Script.prototype, 'runInContext').mockImplementation(function (this: Script, context, options) {
    const { timeout = Number.NaN } = options as { readonly timeout?: number };
    return run.call(this, context, { timeout: Math.ceil(timeout / 100) });
  });
  try {
    await act();
  } finally {
    spy.mockRestore();
  }
}

describe('limits of the patterns of a tokenizer', () => {
  it.each([
    ['a split', { pre_tokenizer: { type: 'Split', pattern: regex('(a+)+$'), behavior: 'Isolated' } }],
    [
      'a split among others',
      {
        pre_tokenizer: {
          type: 'Sequence',
          pretokenizers: [{ type: 'Split', pattern: regex('(a+a+)+b'), behavior: 'Removed' }, { type: 'Digits' }],
        },
      },
    ],
    ['a normalizer', { normalizer: sequence(replace(regex('(a|a|aa)+$'), 'b')) }],
    ['a normalizer of added tokens', { normalizer: replace(regex('(a+)+$'), 'b'), added_tokens: added(TEXT) }],
    ['a decoder', { decoder: { type: 'Sequence', decoders: [{ type: 'Fuse' }, replace(regex('(a+)+$'), 'b')] } }],
  ])('bound the time of %s', async (_, parts) => {
    const act = (): void => {
      const tokenizer = make(parts);
      const ids = tokenizer.encode(TEXT);
      // Single tokens, so that none is part of a longer one.
      tokenizer.decode([...Array.from({ length: 60 }, () => tokenizer.idOf('a')!), ...ids.slice(-1)]);
    };
    await hurried(() => expectError(act, 'invalid-file', 'x.json', 'token ids', LIMIT));
  });

  it.each([
    [
      'replacements that double',
      { normalizer: sequence(...Array.from({ length: 40 }, () => replace({ String: 'a' }, 'aa'))) },
    ],
    ['a replacement of the empty string', { normalizer: replace(regex(''), 'b'.repeat(10_000_000)) }],
    ['a long prefix', { normalizer: { type: 'Prepend', prepend: 'b'.repeat(10_000_000) } }],
    [
      'a replacement in each piece',
      {
        pre_tokenizer: {
          type: 'Sequence',
          pretokenizers: [
            { type: 'Split', pattern: regex('a'), behavior: 'Isolated' },
            replace(regex('a'), 'b'.repeat(100_000)),
          ],
        },
      },
    ],
    ['pieces of no length', { pre_tokenizer: { type: 'FixedLength', length: 0 } }],
    [
      'a normalizer of added tokens, which doubles them',
      {
        normalizer: sequence(...Array.from({ length: 40 }, () => replace({ String: 'a' }, 'aa'))),
        added_tokens: added('aaaa'),
      },
    ],
    ['a decoder', { decoder: replace(regex(''), 'b'.repeat(1_000_000)) }],
  ])('bound the size of %s', async (_, parts) => {
    await expectError(
      () => {
        const tokenizer = make(parts);
        tokenizer.decode(tokenizer.encode(TEXT));
      },
      'invalid-file',
      'x.json',
    );
  });

  it('allow the patterns of models', () => {
    const gpt =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    const parts = {
      normalizer: sequence({ type: 'NFC' }, replace({ String: '—' }, '--')),
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          { type: 'Split', pattern: regex(gpt), behavior: 'Isolated', invert: false },
          { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
        ],
      },
    };
    const tokenizer = make(parts);
    const text = "And God said, Let there be light — and there was light.\n\n 123 it's";
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text.replace('—', '--'));
    const long = 'And God said, Let there be light. '.repeat(2000);
    expect(tokenizer.decode(tokenizer.encode(long))).toBe(long);
  });

  it('can be avoided by a prompt of ids', async () => {
    const json = { ...KJV, normalizer: replace(regex('(a+)+$'), 'b') };
    const lm = await loadWith('tokenizer.json', JSON.stringify(json));
    const refused = () => lm.generate({ prompt: TEXT });
    await hurried(() => expectError(refused, 'invalid-file', 'Give the prompt as token ids', LIMIT));
    const pieces = lm.generate({ prompt: make({}).encode('And God said'), maxTokens: 3 });
    expect(await collect(pieces)).toHaveLength(4);
    await lm.model.backend.dispose();
  });
});
