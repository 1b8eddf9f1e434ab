/** Tokenizers of vocab.json and merges.txt, and tokenizers in another location. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Tokenizer } from '@huggingface/tokenizers';
import { describe, expect, it } from 'vitest';
import { openCheckpoint, readTokenizerFiles } from '../src/index.ts';
import { converted, ggufStore } from './gguf-helpers.ts';
import { expectError, FIXTURES, memoryStore } from './helpers.ts';

type Files = Record<string, string | Uint8Array>;

const KJV = `${FIXTURES}/kjv-mamba`;
const original = JSON.parse(await readFile(`${KJV}/tokenizer.json`, 'utf8')) as {
  model: { vocab: Record<string, number>; merges: (string | string[])[] };
};
const { vocab } = original.model;
const merges = original.model.merges.map((merge) => (typeof merge === 'string' ? merge : merge.join(' ')));
const config = await readFile(`${KJV}/tokenizer_config.json`, 'utf8');
const pair: Files = { 'vocab.json': JSON.stringify(vocab), 'merges.txt': `#version: 0.2\n${merges.join('\n')}\n` };

async function read(files: Files) {
  const warnings: string[] = [];
  const store = memoryStore(files);
  const found = await readTokenizerFiles(store, ({ message }) => void warnings.push(message));
  expect(store.opened).toBe(0);
  return { ...found, warnings };
}

const idsOf = (json: object | undefined, text: string): number[] => new Tokenizer(json!, {}).encode(text).ids;

describe('vocab.json and merges.txt', () => {
  it('make the tokenizer that tokenizer.json does', async () => {
    const text = (await readFile(`${KJV}/validation.txt`, 'utf8')).slice(0, 8000);
    const samples = [text, '<|endoftext|>In the beginning', " \n\t naïve — 日本 🙂 1234 don't"];
    for (const files of [
      { ...pair, 'tokenizer_config.json': config },
      { ...pair, 'special_tokens_map.json': JSON.stringify({ eos_token: { content: '<|endoftext|>' } }) },
      { ...pair, 'merges.txt': merges.join('\r\n'), 'tokenizer_config.json': config },
    ]) {
      const { json, warnings } = await read(files);
      expect(warnings).toEqual([]);
      for (const sample of samples) expect(idsOf(json, sample)).toEqual(idsOf(original, sample));
      expect(new Tokenizer(json!, {}).decode([0], { skip_special_tokens: true })).toBe('');
    }
  });

  it('have tokens beside the vocabulary, a space or a token first, where their files say so', async () => {
    const settings = {
      tokenizer_class: 'GPT2Tokenizer',
      add_prefix_space: true,
      add_bos_token: true,
      bos_token: '<s>',
    };
    const { json } = await read({
      ...pair,
      'tokenizer_config.json': JSON.stringify({ ...settings, additional_special_tokens: ['<|im_end|>'] }),
      'added_tokens.json': JSON.stringify({ '<|im_end|>': 1025, '<s>': 1024 }),
    });
    expect(idsOf(json, 'And<|im_end|>')).toEqual([1024, vocab.ĠAnd, 1025]);
  });

  it('are left out where they are of another kind, and refused where they contradict each other', async () => {
    for (const name of ['CLIPTokenizer', 'RobertaTokenizer', 5]) {
      const found = await read({ ...pair, 'tokenizer_config.json': JSON.stringify({ tokenizer_class: name }) });
      expect(found.json).toBeUndefined();
      expect(found.warnings).toHaveLength(1);
      expect(found.warnings[0]).toMatch(/vocab\.json is left out: .*save_pretrained/);
    }
    const words = await read({ ...pair, 'vocab.json': JSON.stringify({ ...vocab, 'a</w>': 1024 }) });
    expect(words.json).toBeUndefined();
    expect(await read({ 'vocab.json': pair['vocab.json']! })).toMatchObject({ json: undefined });
    expect(await read({ 'merges.txt': pair['merges.txt']! })).toMatchObject({ json: undefined });
    const refuse = async (files: Files, ...words: string[]) =>
      expectError(readTokenizerFiles(memoryStore({ ...pair, ...files })), 'invalid-file', ...words);
    await refuse({ 'vocab.json': '[]' }, 'vocab.json');
    await refuse({ 'vocab.json': '{"a": "b"}' }, 'vocab.json', '"a"');
    await refuse({ 'merges.txt': 'a nothing' }, 'merges.txt', 'a nothing');
    await refuse({ 'merges.txt': new Uint8Array([0xff]) }, 'UTF-8');
    await refuse({ 'merges.txt': 'version https://git-lfs.github.com/spec/v1\n' }, 'Git LFS');
  });

  it('go into a GGUF file as a tokenizer.json does', async () => {
    const { json } = await read({ ...pair, 'tokenizer_config.json': config });
    const checkpoint = await openCheckpoint(ggufStore(await converted('kjv-mamba', 'Q8_0', { tokenizer: json })));
    const { json: copy } = await checkpoint.tokenizerFiles();
    expect(idsOf(copy, 'And the LORD said')).toEqual(idsOf(original, 'And the LORD said'));
  });
});

describe('a tokenizer apart from its model', () => {
  const model = `${FIXTURES}/mamba-tiny`;

  it('is read from where it is said to be, and its end of text counts', async () => {
    const small = { ...JSON.parse(config), eos_token: '!', added_tokens_decoder: undefined };
    const folder = await mkdtemp(join(tmpdir(), 'mamba-tokenizer-'));
    try {
      await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(original));
      await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(small));
      const path = join(folder, 'tokenizer.json');
      for (const tokenizer of [folder, path, pathToFileURL(folder), pathToFileURL(path), String(pathToFileURL(path))]) {
        const checkpoint = await openCheckpoint(model, { tokenizer, onWarning() {} });
        expect((await checkpoint.tokenizerFiles()).json).toEqual(original);
        expect(checkpoint.specialTokens).toEqual({ bos: 0, eos: [0, vocab['!']] });
        const again = await checkpoint.reopen();
        expect((await again.tokenizerFiles()).json).toEqual(original);
        await Promise.all([checkpoint.close(), again.close()]);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('comes before the one that the checkpoint has', async () => {
    const other = { ...original, added_tokens: [] };
    const store = memoryStore({ 'tokenizer.json': JSON.stringify(other) });
    const folder = await openCheckpoint(KJV, { tokenizer: store });
    expect((await folder.tokenizerFiles()).json).toEqual(other);
    const gguf = ggufStore(await converted('kjv-mamba', 'Q8_0', { tokenizer: original }));
    expect((await (await openCheckpoint(gguf, { tokenizer: store })).tokenizerFiles()).json).toEqual(other);
    expect((await (await openCheckpoint(gguf)).tokenizerFiles()).json).not.toEqual(other);
    await folder.close();
  });

  it('is asked for where it is named: there being none is an error, unlike beside a model', async () => {
    const beside = await openCheckpoint(model);
    expect((await beside.tokenizerFiles()).json).toBeUndefined();
    const apart = await openCheckpoint(model, { tokenizer: memoryStore({}) });
    await expectError(apart.tokenizerFiles(), 'invalid-file', 'no tokenizer', 'merges.txt', 'Give the folder');
    await Promise.all([beside.close(), apart.close()]);
  });
});
