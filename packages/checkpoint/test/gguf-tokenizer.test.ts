import { readFile } from 'node:fs/promises';
import { Tokenizer } from '@huggingface/tokenizers';
import { describe, expect, it } from 'vitest';
import { bytesSource, type GgufValue, ggufTokenizer, openCheckpoint, openGguf } from '../src/index.ts';
import { converted, ggufStore } from './gguf-helpers.ts';
import { expectError, FIXTURES } from './helpers.ts';

type Json = Record<string, unknown>;

const kjv = async (): Promise<Json> => JSON.parse(await readFile(`${FIXTURES}/kjv-mamba/tokenizer.json`, 'utf8'));

/** The tokenizer and the metadata of a file that is made with this tokenizer. */
async function roundTrip(tokenizer: unknown): Promise<{ json: Json; metadata: ReadonlyMap<string, GgufValue> }> {
  const file = await openGguf(bytesSource(await converted('kjv-mamba', 'Q8_0', { tokenizer })));
  return { json: ggufTokenizer(file) as Json, metadata: file.metadata };
}

/** A vocabulary in which the digits 1 to 4 are merged from the left, if the pre-tokenizer does not separate them. */
function digits(more: Record<string, GgufValue> = {}): { name: string; metadata: ReadonlyMap<string, GgufValue> } {
  const tokens = ['1', '2', '3', '4', '12', '123', '1234', '<s>', '$', 'a', '$a', 'Ġ'];
  return {
    name: 'digits.gguf',
    metadata: new Map<string, GgufValue>([
      ['tokenizer.ggml.model', 'gpt2'],
      ['tokenizer.ggml.pre', 'gpt-2'],
      ['tokenizer.ggml.tokens', tokens],
      ['tokenizer.ggml.token_type', tokens.map((token) => (token === '<s>' ? 3 : 1))],
      ['tokenizer.ggml.merges', ['1 2', '12 3', '123 4']],
      ['tokenizer.ggml.bos_token_id', 7],
      ...Object.entries(more),
    ]),
  };
}

const tokensOf = (json: object | undefined, text: string): string[] =>
  new Tokenizer(json as object, {}).encode(text).tokens;

describe('tokenizers in GGUF', () => {
  it('gives the same ids for the validation text, and the same text back', async () => {
    const original = await kjv();
    const text = (await readFile(`${FIXTURES}/kjv-mamba/validation.txt`, 'utf8')).slice(0, 8000);
    const { json, metadata } = await roundTrip(original);
    expect(metadata.has('tokenizer.huggingface.json')).toBe(false);
    const [before, after] = [new Tokenizer(original, {}), new Tokenizer(json, {})];
    for (const sample of [text, '<|endoftext|>In the beginning', " \n\t naïve — 日本 🙂 1234 don't"]) {
      const { ids } = before.encode(sample);
      expect(after.encode(sample).ids).toEqual(ids);
      expect(after.decode(ids)).toBe(before.decode(ids));
    }
    expect(after.decode([0], { skip_special_tokens: true })).toBe('');
  });

  it('fills rows without a token, which are no tokens when read', async () => {
    const tokenizer = (await kjv()) as { model: { vocab: Record<string, number>; merges: string[][] } };
    const last = Object.entries(tokenizer.model.vocab).find(([, id]) => id === 1023)![0];
    delete tokenizer.model.vocab[last];
    tokenizer.model.merges = tokenizer.model.merges.filter((merge) => [...merge].join('').replace(' ', '') !== last);
    const { json, metadata } = await roundTrip(tokenizer);
    expect((metadata.get('tokenizer.ggml.tokens') as string[])[1023]).toBe('[PAD1023]');
    expect((metadata.get('tokenizer.ggml.token_type') as number[])[1023]).toBe(5);
    expect((json.model as { vocab: object }).vocab).toEqual(tokenizer.model.vocab);
  });

  it('keeps the whole tokenizer.json where llama.cpp has no words for it', async () => {
    const tokenizer = { ...(await kjv()), normalizer: { type: 'NFC' } };
    const { json, metadata } = await roundTrip(tokenizer);
    expect(metadata.get('tokenizer.ggml.pre')).toBe('gpt-2');
    expect(json).toEqual(tokenizer);
    const damaged = { name: 'x', metadata: new Map(metadata).set('tokenizer.huggingface.json', '{"a":') };
    expect(() => ggufTokenizer(damaged)).toThrow('tokenizer.huggingface.json');
  });

  it.each([
    ['gpt-2', ['1234']],
    ['mpt', ['1234']],
    ['starcoder', ['1', '2', '3', '4']],
    ['qwen2', ['1', '2', '3', '4']],
    ['llama-bpe', ['123', '4']],
    ['falcon', ['123', '4']],
    ['default', ['123', '4']],
  ])('cuts text as %s does', (pre, expected) => {
    expect(tokensOf(ggufTokenizer(digits({ 'tokenizer.ggml.pre': pre })), '1234')).toEqual(expected);
  });

  it('cuts as default where the file does not say, and keeps punctuation apart there', () => {
    const file = digits({ 'tokenizer.ggml.merges': ['$ a'], 'tokenizer.ggml.pre': 'default' });
    expect(tokensOf(ggufTokenizer(file), '$a')).toEqual(['$', 'a']);
    expect(
      tokensOf(ggufTokenizer(digits({ 'tokenizer.ggml.pre': 'qwen2', 'tokenizer.ggml.merges': ['$ a'] })), '$a'),
    ).toEqual(['$a']);
    const silent = new Map(file.metadata);
    silent.delete('tokenizer.ggml.pre');
    expect(ggufTokenizer({ name: 'silent', metadata: silent })).toEqual(ggufTokenizer(file));
  });

  it('begins a text where the file says so', () => {
    expect(tokensOf(ggufTokenizer(digits({ 'tokenizer.ggml.add_bos_token': true })), '1')).toEqual(['<s>', '1']);
    expect(tokensOf(ggufTokenizer(digits()), '1')).toEqual(['1']);
    expect(tokensOf(ggufTokenizer(digits()), '<s>1')).toEqual(['<s>', '1']);
  });

  it('is undefined where there is none', async () => {
    const file = await openGguf(bytesSource(await converted('mamba-tiny', 'F32')));
    expect(ggufTokenizer(file)).toBeUndefined();
    expect(ggufTokenizer({ name: 'x', metadata: new Map() })).toBeUndefined();
  });

  it.each([
    ['tokenizer.ggml.model', 'llama', 'unsupported', 'byte-level BPE'],
    ['tokenizer.ggml.pre', 'tekken', 'unsupported', 'gpt-2'],
    ['tokenizer.ggml.pre', 7, 'invalid-file', 'a string'],
    ['tokenizer.ggml.tokens', ['1', '1'], 'invalid-file', 'one a token'],
    ['tokenizer.ggml.tokens', 'x', 'invalid-file', 'an array of strings'],
    ['tokenizer.ggml.token_type', [1], 'invalid-file', '12'],
    ['tokenizer.ggml.token_type', ['a'], 'invalid-file', 'an array of integers'],
    ['tokenizer.ggml.merges', ['1 9'], 'invalid-file', '1 9'],
    ['tokenizer.ggml.merges', ['1 2 3'], 'invalid-file', '1 2 3'],
    ['tokenizer.ggml.merges', ['1 3'], 'invalid-file', 'two tokens that together'],
    ['tokenizer.huggingface.json', '[]', 'invalid-file', 'JSON object'],
  ] as const)('refuses %s = %j', async (key, value, code, word) => {
    const read = async (): Promise<unknown> => ggufTokenizer(digits({ [key]: value as GgufValue }));
    await expectError(read(), code, word, key.startsWith('tokenizer.ggml.tokens') ? 'tokenizer.ggml' : key);
  });

  it('refuses a token twice', async () => {
    const twice = async (): Promise<unknown> =>
      ggufTokenizer(digits({ 'tokenizer.ggml.tokens': ['1', '1'], 'tokenizer.ggml.token_type': [1, 1] }));
    await expectError(twice(), 'invalid-file', '"1" twice');
  });

  it('refuses to write what it could not read', async () => {
    const tokenizer = (await kjv()) as { model: { vocab: object }; [part: string]: unknown };
    const { model } = tokenizer;
    const bad: readonly [unknown, string, string][] = [
      [{ ...tokenizer, model: { ...model, type: 'Unigram' } }, 'unsupported', '"Unigram"'],
      [{ ...tokenizer, model: { ...model, byte_fallback: true } }, 'unsupported', 'byte_fallback'],
      [{ ...tokenizer, pre_tokenizer: { type: 'Whitespace' } }, 'unsupported', 'Whitespace'],
      [{ ...tokenizer, pre_tokenizer: null }, 'unsupported', 'pre_tokenizer'],
      [{ ...tokenizer, model: { ...model, vocab: { ...model.vocab, far: 1024 } } }, 'invalid-argument', '1024'],
      [{ ...tokenizer, model: { ...model, vocab: { ...model.vocab, same: 5 } } }, 'invalid-argument', 'the id 5'],
      [{ ...tokenizer, model: { ...model, merges: undefined } }, 'invalid-argument', 'merges'],
      ['text', 'invalid-argument', 'tokenizer.json'],
    ];
    for (const [given, code, word] of bad)
      await expectError(converted('kjv-mamba', 'Q8_0', { tokenizer: given }), code, word);
  });

  it('gives special tokens and a chat template', async () => {
    const bytes = await converted('kjv-mamba', 'Q8_0', { tokenizer: await kjv(), chatTemplate: '{{ x }}' });
    const { specialTokens, gguf } = await openCheckpoint(ggufStore(bytes));
    expect(specialTokens).toEqual({ bos: 0, eos: [0] });
    expect(gguf!.metadata.get('tokenizer.chat_template')).toBe('{{ x }}');
  });

  it('begins a text with nothing where the token to begin with is none of the vocabulary', () => {
    const add = { 'tokenizer.ggml.add_bos_token': true };
    expect(tokensOf(ggufTokenizer(digits(add)), '12')).toEqual(['<s>', '12']);
    for (const id of [12, -1, 'x'])
      expect(tokensOf(ggufTokenizer(digits({ ...add, 'tokenizer.ggml.bos_token_id': id })), '12')).toEqual(['12']);
  });

  it('ends a text at the end of text, of turn and of message, where these are of the vocabulary', async () => {
    const read = async (given: { bos: number | undefined; eos: number[] }, more = {}) => {
      const warnings: string[] = [];
      const bytes = await converted('kjv-mamba', 'Q8_0', { specialTokens: given, ...more });
      const onWarning = ({ message }: Error) => void warnings.push(message);
      const { specialTokens, tokenizerFiles, close } = await openCheckpoint(ggufStore(bytes), { onWarning });
      await tokenizerFiles();
      await close();
      return { specialTokens, warnings };
    };
    expect(await read({ bos: 4, eos: [7, 5, 9] })).toMatchObject({
      specialTokens: { bos: 4, eos: [7, 5, 9] },
      warnings: [],
    });
    const beyond = await read({ bos: 5000, eos: [1024, 3, 50256] }, { tokenizer: await kjv() });
    expect(beyond.specialTokens).toEqual({ bos: undefined, eos: [3] });
    expect(beyond.warnings).toEqual([
      'model.gguf: bos_token_id is left out: got 5000, expected an id from 0 to 1023',
      'model.gguf: eos_token_id is left out: got 1024, expected an id from 0 to 1023',
      'model.gguf: eos_token_id is left out: got 50256, expected an id from 0 to 1023',
    ]);
  });
});
