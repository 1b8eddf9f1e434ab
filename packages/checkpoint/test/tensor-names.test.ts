/** Names of tensors in files, with prefixes of modules that wrapped the model when it was saved. */
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import {
  bytesSource,
  type Checkpoint,
  openCheckpoint,
  openSafetensors,
  type RawTensor,
  writeSafetensors,
} from '../src/index.ts';
import { expectSameParameters } from './gguf-helpers.ts';
import { expectError, FIXTURES, memoryStore } from './helpers.ts';

const EMBEDDING = 'backbone.embeddings.weight';

async function parts(folder: string): Promise<{ config: object; tensors: [string, RawTensor][] }> {
  const config = JSON.parse(await readFile(`${FIXTURES}/${folder}/config.json`, 'utf8')) as object;
  const file = await openSafetensors(bytesSource(await readFile(`${FIXTURES}/${folder}/model.safetensors`)));
  const tensors: [string, RawTensor][] = [];
  for (const [name, { dtype, shape }] of file.tensors)
    tensors.push([name, { dtype, shape, bytes: await file.readBytes(name) }]);
  return { config, tensors };
}

const open = (config: object, tensors: Iterable<[string, RawTensor]>): Promise<Checkpoint> =>
  openCheckpoint(
    memoryStore({ 'config.json': JSON.stringify(config), 'model.safetensors': writeSafetensors(tensors) }),
  );

describe('names of tensors', () => {
  const renamings: [string, (name: string) => string][] = [
    ['the bare model', (name) => name.replace(/^backbone\./, '')],
    ['the bare original', (name) => name.replace(/^backbone\./, '').replace('embeddings', 'embedding')],
    ['a compiled model', (name) => `_orig_mod.${name}`],
    ['a parallel model', (name) => `module.${name}`],
    ['a compiled parallel model', (name) => `_orig_mod.module.${name}`],
    ['a parallel compiled bare model', (name) => `module._orig_mod.${name.replace(/^backbone\./, '')}`],
    ['compiled layers', (name) => name.replace(/(layers\.\d+)\./, '$1._orig_mod.')],
    [
      'layers that are sharded and recomputed',
      (name) => name.replace(/(layers\.\d+)\./, '$1._fsdp_wrapped_module._checkpoint_wrapped_module.'),
    ],
    ['a model within a trainer', (name) => `model.${name}`],
    ['a model within a trainer and its engine', (name) => `_forward_module.model.${name}`],
    ['a bare model within another', (name) => name.replace(/^backbone\./, 'model.')],
  ];
  it.each(renamings)('are those of %s', async (_, rename) => {
    for (const folder of ['mamba-tiny', 'falcon-mamba-tiny']) {
      const { config, tensors } = await parts(folder);
      const plain = await open(config, tensors);
      const renamed = await open(
        config,
        tensors.map(([name, tensor]) => [rename(name), tensor]),
      );
      await expectSameParameters(renamed, plain);
      expect(renamed.storedType({ key: 'embedding', layer: undefined })).toBe('F32');
      expect(renamed.storedType({ key: 'block.inProj', layer: 1 })).toBe('F32');
    }
  });

  it('may be the head alone where it is tied to the embedding', async () => {
    const { config, tensors } = await parts('mamba-tiny');
    const plain = await open(config, tensors);
    for (const head of ['lm_head.weight', '_orig_mod.lm_head.weight', 'backbone.lm_head.weight']) {
      const moved = tensors.map(([name, tensor]): [string, RawTensor] => [name === EMBEDDING ? head : name, tensor]);
      await expectSameParameters(await open(config, moved), plain);
      await expectError(
        open({ ...config, tie_word_embeddings: false }, moved),
        'invalid-file',
        'no tensor "backbone.embeddings.weight"',
      );
      const both = [...tensors, [head, tensors.find(([name]) => name === EMBEDDING)![1]] as [string, RawTensor]];
      await expectSameParameters(await open(config, both), plain);
    }
  });

  it('are one for each parameter', async () => {
    const { config, tensors } = await parts('mamba-tiny');
    const again: [string, RawTensor] = [`module.${EMBEDDING}`, tensors.find(([name]) => name === EMBEDDING)![1]];
    await expectError(open(config, [...tensors, again]), 'invalid-file', 'both', EMBEDDING, `module.${EMBEDDING}`);
    const two = tensors.map(([name, tensor]): [string, RawTensor] => [`ema.${name}`, tensor]);
    await expectError(open(config, [...tensors, ...two]), 'invalid-file', 'no place for', 'ema.backbone');
  });

  it('say what to do where a head is missing', async () => {
    const { config, tensors } = await parts('mamba-tiny');
    const untied = { ...config, tie_word_embeddings: false };
    await expectError(open(untied, tensors), 'invalid-file', 'lm_head.weight', '"tie_word_embeddings": true');
    expect((await open({ ...untied, tie_word_embeddings: true }, tensors)).config.tiedHead).toBe(true);
  });
});

describe('rows of the embedding', () => {
  it('are as many as the vocabulary, or that rounded up', async () => {
    const { config, tensors } = await parts('mamba-tiny');
    const plain = await open(config, tensors);
    const padded = await open({ ...config, vocab_size: 93, pad_vocab_size_multiple: 8 }, tensors);
    expect(padded.config).toEqual(plain.config);
    await expectSameParameters(padded, plain);
    const original = { d_model: 48, n_layer: 3, vocab_size: 96, ssm_cfg: {}, rms_norm: true };
    expect((await open({ ...original, pad_vocab_size_multiple: 64 }, tensors)).config.vocabSize).toBe(96);
    for (const wrong of [{ vocab_size: 93 }, { vocab_size: 87, pad_vocab_size_multiple: 8 }, { vocab_size: 97 }])
      await expectError(open({ ...config, ...wrong }, tensors), 'invalid-file', 'embeddings.weight', '[96, 48]');
  });

  it('bound the ids that have a meaning', async () => {
    const { config, tensors } = await parts('mamba-tiny');
    const padded = { ...config, vocab_size: 93, pad_vocab_size_multiple: 8, eos_token_id: 94 };
    expect((await open(padded, tensors)).specialTokens.eos).toEqual([94]);
  });
});
