import { readFile } from 'node:fs/promises';
import { Tokenizer as Library } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Tokenizer } from '../src/index.ts';
import { FIXTURES } from './helpers.ts';

/** The byte tokens `<0x00>` to `<0xFF>` of vocabularies with a byte fallback. */
const BYTES = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
const PIECES = ['▁', '▁▁', '▁the', '▁a', 'b', 'é', '日', '🎉', '\ufeff', '▁.', '.', ' ', '\ufffd', "▁'", "'s", '▁▁x'];
const WORDS = ['the', '##s', 'a', '.', ',', "'", 's', "n't", 'do', '?', '##.', 'm', '日', '\ufeff', ' ', '##', ' not'];
const SUFFIXED = ['a</w>', 'b', 'the</w>', 's', '.</w>', '</w>', '</w>x', 'é</w>', '日', '\ufeff', '<', '/w>', ' '];
/** The first four tokens of every vocabulary. After them there is an id without a token. */
const ADDED = ['<s>', '</s>', '<unk>', 'added one'];

interface Kind {
  readonly tokenizer: Tokenizer;
  readonly library: { decode(ids: readonly number[], options: object): string };
  readonly size: number;
  /** Texts that the library decodes differently. */
  readonly differs?: (token: string) => boolean;
}

function kind(
  tokens: readonly string[],
  decoder: unknown,
  { model = {}, config = {}, differs }: { model?: object; config?: object; differs?: (token: string) => boolean } = {},
): Kind {
  const vocab = Object.fromEntries([...ADDED, ...tokens].map((token, id) => [token, id < ADDED.length ? id : id + 1]));
  const added = ADDED.map((content, id) => ({ id, content, special: id < 3, normalized: false }));
  const json = {
    ...{ normalizer: null, pre_tokenizer: null, post_processor: null, added_tokens: added, decoder },
    model: { type: 'BPE', vocab, merges: [], unk_token: '<unk>', ...model },
  };
  const size = ADDED.length + tokens.length + 3;
  return {
    tokenizer: new Tokenizer(json, config),
    library: new Library(json, config),
    size,
    ...(differs && { differs }),
  };
}

const sequence = (...decoders: readonly object[]) => ({ type: 'Sequence', decoders });
const mark = { type: 'Replace', pattern: { String: '▁' }, content: ' ' };
const strip = (start: number, stop: number) => ({ type: 'Strip', content: ' ', start, stop });
const cleaned = { config: { clean_up_tokenization_spaces: true } };
const byteLevel = JSON.parse(await readFile(`${FIXTURES}/kjv-mamba/tokenizer.json`, 'utf8'));
const noBom = { differs: (token: string) => ['<0xEF>', '<0xBB>', '<0xBF>'].includes(token) };

const KINDS: Readonly<Record<string, Kind>> = {
  'byte-level BPE, with clean-up in its config': {
    tokenizer: new Tokenizer(byteLevel, cleaned.config),
    library: new Library(byteLevel, {}),
    size: 1100,
  },
  Metaspace: kind(PIECES, { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' }),
  'Metaspace, with clean-up in its config': kind(PIECES, { type: 'Metaspace', replacement: '▁' }, cleaned),
  'byte fallback as Llama has it': kind(
    [...PIECES, ...BYTES],
    sequence(mark, { type: 'ByteFallback' }, { type: 'Fuse' }, strip(1, 0)),
    noBom,
  ),
  'byte fallback as Gemma has it': kind(
    [...PIECES, ...BYTES],
    sequence(mark, { type: 'ByteFallback' }, { type: 'Fuse' }),
    { ...cleaned, ...noBom },
  ),
  'byte fallback, and changes of each token': kind(
    [...PIECES, ...BYTES],
    sequence({ type: 'ByteFallback' }, mark, strip(1, 1)),
    noBom,
  ),
  'changes of the fused text': kind(
    PIECES,
    sequence(
      { type: 'Fuse' },
      { type: 'Replace', pattern: { String: '▁the' }, content: '$&' },
      { type: 'Replace', pattern: { Regex: '[ab▁]+$' }, content: '!' },
      strip(2, 2),
    ),
    { differs: (token) => token === '▁the' },
  ),
  WordPiece: kind(WORDS, { type: 'WordPiece', prefix: '##', cleanup: false }),
  'WordPiece with clean-up': kind(WORDS, { type: 'WordPiece', prefix: '##', cleanup: true }, cleaned),
  'word suffixes': kind(SUFFIXED, { type: 'BPEDecoder', suffix: '</w>' }),
  'word suffixes in a byte-level alphabet': kind(
    ['a</w>', 'b', 'the</w>', 's', '.</w>', '</w>', 'Ġ', 'Ġ</w>', 'æ', 'Ĺ', '¥', 'ï»¿'],
    { type: 'ByteLevel' },
    { model: { end_of_word_suffix: '</w>' }, differs: (token) => token === 'ï»¿' },
  ),
  'no decoder': kind(WORDS, null),
};

/** Random ids, including special tokens and ids without a token; often the same few. */
const ids = (size: number) =>
  fc.oneof(
    fc.array(fc.nat(size), { maxLength: 60 }),
    fc.array(fc.constantFrom(0, 1, 4, 5, 7, 8, 9, size), { maxLength: 12 }),
    fc.array(fc.integer({ min: 0, max: Math.min(size, 24) }), { maxLength: 60 }),
    fc
      .string({ unit: fc.constantFrom('é', '日', '🎉', '\ufeff', 'a'), maxLength: 8 })
      .map((text) => Array.from(new TextEncoder().encode(text), (byte) => 5 + PIECES.length + byte)),
  );

describe.each(Object.entries(KINDS))('text of %s', (_, { tokenizer, library, size, differs }) => {
  it('does not depend on how the ids are split', () => {
    fc.assert(
      fc.property(ids(size), fc.boolean(), (sample, skip) => {
        const options = { skipSpecialTokens: skip };
        const decoder = tokenizer.streamDecoder(options);
        const pieces = sample.map((id) => decoder.push(id));
        for (const piece of pieces) expect(piece).not.toMatch(/\p{Surrogate}/u);
        expect(pieces.join('') + decoder.end()).toBe(tokenizer.decode(sample, options));
        // The decoder has started over.
        expect(sample.map((id) => decoder.push(id)).join('') + decoder.end()).toBe(tokenizer.decode(sample, options));
      }),
      { seed: 61, numRuns: 300 },
    );
  });

  it('equals that of the library', () => {
    fc.assert(
      fc.property(ids(size), fc.boolean(), (sample, skip) => {
        const known = sample.filter((id) => {
          const token = tokenizer.tokenOf(id);
          return token !== undefined && !differs?.(token);
        });
        fc.pre(known.length > 0);
        const cleans = tokenizer === KINDS['WordPiece with clean-up']?.tokenizer;
        const options = { skip_special_tokens: skip, clean_up_tokenization_spaces: cleans };
        expect(tokenizer.decode(known, { skipSpecialTokens: skip })).toBe(library.decode(known, options));
      }),
      { seed: 62, numRuns: 300 },
    );
  });
});

describe('text', () => {
  const streamed = ({ tokenizer }: Kind, tokens: readonly (string | number)[]): string => {
    const decoder = tokenizer.streamDecoder({ skipSpecialTokens: true });
    const pieces = tokens.map((token) => decoder.push(typeof token === 'number' ? token : tokenizer.idOf(token)!));
    return pieces.join('') + decoder.end();
  };
  const llama = KINDS['byte fallback as Llama has it']!;
  const metaspace = KINDS.Metaspace!;

  it('keeps the space after a special token, and after an id without a token', () => {
    for (const each of [llama, metaspace])
      for (const silent of ['<s>', 4]) {
        expect(streamed(each, ['▁a', silent, '▁the'])).toBe('a the');
        expect(streamed(each, [silent, '▁a', silent, silent, '▁the'])).toBe('a the');
      }
  });

  it('keeps U+FEFF, as a token and as bytes', () => {
    const bom = ['<0xEF>', '<0xBB>', '<0xBF>'];
    expect(streamed(llama, [...bom, 'b', ...bom])).toBe('\ufeffb\ufeff');
    expect(streamed(metaspace, ['\ufeff', 'b', '\ufeff'])).toBe('\ufeffb\ufeff');
    const { tokenizer } = KINDS['byte-level BPE, with clean-up in its config']!;
    for (const text of ['\ufeffIn the', 'In\ufeff \ufeff']) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    // With trimming at both ends.
    expect(streamed(KINDS['word suffixes in a byte-level alphabet']!, ['Ġ', 'ï»¿', 'b', 'ï»¿', 'Ġ'])).toBe(
      '\ufeffb\ufeff',
    );
  });

  it('joins the bytes of a character around a special token', () => {
    expect(streamed(llama, ['<0xE6>', '<s>', '<0x97>', 4, '<0xA5>'])).toBe('日');
    expect(streamed(llama, ['<0xE6>', '<0x97>', 'b'])).toBe('\ufffdb');
  });

  it('gives a character with its last byte, before the run of bytes ends', () => {
    const decoder = llama.tokenizer.streamDecoder();
    const bytes = [...new TextEncoder().encode('日é')].map((byte) => llama.tokenizer.idOf(BYTES[byte]!)!);
    expect(bytes.map((id) => decoder.push(id))).toEqual(['', '', '日', '', 'é']);
  });

  it('is given in whole characters after any number of invalid bytes', () => {
    const { tokenizer } = KINDS['byte-level BPE, with clean-up in its config']!;
    const party = tokenizer.encode('🎉');
    const decoder = tokenizer.streamDecoder();
    const sample = [...Array.from({ length: 200 }, () => party[0]!), ...party.slice(1)];
    expect(sample.map((id) => decoder.push(id)).join('')).toBe(`${'\ufffd'.repeat(199)}🎉`);
  });

  it('is cleaned up for a vocabulary of words only', () => {
    const bert = KINDS['WordPiece with clean-up']!;
    expect(streamed(bert, ['do', "n't", '.', 'the', 'a', "'", 's'])).toBe("don't. the a's");
    expect(streamed(KINDS.WordPiece!, ['do', "n't", '.'])).toBe("do n't .");
    const gemma = KINDS['byte fallback as Gemma has it']!;
    expect(streamed(gemma, ['b', '▁.', '▁', "▁'", '▁the'])).toBe("b .  ' the");
  });

  it('begins with a space if the tokenizer never adds one', () => {
    for (const decoder of [
      { type: 'Metaspace', replacement: '▁', prepend_scheme: 'never' },
      { type: 'Metaspace', replacement: '▁', add_prefix_space: false },
    ])
      expect(streamed(kind(PIECES, decoder), ['▁a', '▁the'])).toBe(' a the');
  });

  it('keeps the space of its first word if it continues a text', () => {
    const words = KINDS['WordPiece with clean-up']!;
    for (const [{ tokenizer }, token] of [
      [metaspace, '▁the'],
      [llama, '▁the'],
      [words, 'the'],
      [KINDS['no decoder']!, 'the'],
    ] as const) {
      const id = tokenizer.idOf(token)!;
      expect([tokenizer.decode([id]), tokenizer.decode([id, id])]).toEqual(['the', 'the the']);
      expect(tokenizer.decode([id, id], { begun: true })).toBe(' the the');
    }
  });

  it('merges repeated tokens with a CTC decoder', () => {
    const config = { type: 'CTC', pad_token: '<pad>', word_delimiter_token: '|', cleanup: true };
    const ctc = kind(['<pad>', '|', 'a', 'b'], config);
    expect(streamed(ctc, ['a', 'a', '<pad>', 'a', '|', '|', 'b'])).toBe('aa b');
  });
});
