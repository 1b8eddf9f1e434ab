import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FIXTURES } from '../../test/helpers.ts';
import { Tokenizer } from './tokenizer.ts';

const KJV = JSON.parse(readFileSync(`${FIXTURES}/kjv-mamba/tokenizer.json`, 'utf8')) as Record<string, unknown>;
const EOS = '<|endoftext|>';
const TEMPLATE =
  '{% for m in messages %}{{ eos_token }}{{ m.role }}: {{ m.content | trim }}{% endfor %}{{ eos_token }}';
const special = (...contents: string[]): object[] =>
  contents.map((content, id) => ({ id, content, special: true, normalized: false }));
const base = { post_processor: null, normalizer: null, pre_tokenizer: null, decoder: null };

const KINDS: readonly (readonly [string, Tokenizer])[] = [
  ['with byte-level BPE', new Tokenizer(KJV, { chat_template: TEMPLATE, eos_token: EOS })],
  [
    'with Metaspace',
    new Tokenizer(
      {
        ...base,
        pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first' },
        decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first' },
        added_tokens: special(EOS),
        // A Unigram vocabulary contains its special tokens.
        model: {
          type: 'Unigram',
          unk_id: 1,
          vocab: [EOS, '<unk>', '▁', ...'abcdefghijklmnopqrstuvwxyz<|>:?.'].map((piece) => [piece, -1]),
        },
      },
      { chat_template: TEMPLATE, eos_token: EOS },
    ),
  ],
  [
    'with words',
    new Tokenizer(
      {
        ...base,
        normalizer: { type: 'BertNormalizer', lowercase: true },
        pre_tokenizer: { type: 'BertPreTokenizer' },
        decoder: { type: 'WordPiece', prefix: '##', cleanup: false },
        added_tokens: special(EOS, '[UNK]'),
        model: {
          ...{ type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##', max_input_chars_per_word: 100 },
          vocab: Object.fromEntries(
            [EOS, '[UNK]', ...[...'abcdefghijklmnopqrstuvwxyz<|>:?.'].flatMap((c) => [c, `##${c}`])].map((word, id) => [
              word,
              id,
            ]),
          ),
        },
      },
      { chat_template: TEMPLATE, eos_token: EOS },
    ),
  ],
];

describe.each(KINDS)('special tokens of a tokenizer %s', (_, tokenizer) => {
  const eos = tokenizer.idOf(EOS)!;
  const texts = [EOS, `a${EOS}b`, `${EOS}${EOS}`, `what is ${EOS}?`, ` ${EOS} `];

  it('are recognised, or encoded as text on request', () => {
    for (const text of texts) {
      expect(tokenizer.encode(text)).toContain(eos);
      const ids = tokenizer.encode(text, { splitSpecialTokens: true });
      expect(ids).not.toContain(eos);
      expect(tokenizer.decode(ids).replaceAll(' ', '')).toBe(text.replaceAll(' ', ''));
      // The option affects this call only.
      expect(tokenizer.encode(text)).toContain(eos);
    }
    const plain = 'what is that?';
    expect(tokenizer.encode(plain, { splitSpecialTokens: true })).toEqual(tokenizer.encode(plain));
  });

  it('of the template are recognised, while those in messages are text', () => {
    const count = (ids: readonly number[]): number => ids.filter((id) => id === eos).length;
    const messages = texts.map((content) => ({ role: 'user', content }));
    expect(count(tokenizer.encodeChat(messages, { splitSpecialTokens: true }))).toBe(texts.length + 1);
    expect(count(tokenizer.encodeChat(messages))).toBe(texts.length + 1 + texts.join('').split(EOS).length - 1);
    const plain = [{ role: 'user', content: 'what is that?' }];
    expect(tokenizer.encodeChat(plain, { splitSpecialTokens: true })).toEqual(tokenizer.encodeChat(plain));
    const parts = [{ role: 'user', content: 'a', more: { deep: [`${EOS}`] } }];
    const deep = new Tokenizer(KJV, { chat_template: '{{ eos_token }}{{ messages[0].more.deep[0] }}', eos_token: EOS });
    expect(count(deep.encodeChat(parts, { splitSpecialTokens: true }))).toBe(1);
  });
});
