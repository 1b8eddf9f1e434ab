/** The options of `loadModel`, and its warnings. */
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Backend } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blobSource, loadModel, type MambaError, openTokenizer, Tokenizer } from '../src/index.ts';
import { connectLanguageModels, serveLanguageModels, type WorkerPort } from '../src/worker/index.ts';
import { collect, expectError, FIXTURES } from './helpers.ts';

const KJV = `${FIXTURES}/kjv-mamba`;
let backend: Backend;
beforeAll(async () => {
  backend = await cpu().create();
});
afterAll(() => backend.dispose());

async function files(changes: Readonly<Record<string, string | undefined>>): Promise<File[]> {
  const names = [
    'config.json',
    'generation_config.json',
    'model.safetensors',
    'tokenizer.json',
    'tokenizer_config.json',
  ];
  const kept = names.filter((name) => !(name in changes));
  const own = await Promise.all(kept.map(async (name) => new File([await readFile(`${KJV}/${name}`)], name)));
  const changed = Object.entries(changes).filter(([, content]) => content !== undefined);
  return [...own, ...changed.map(([name, content]) => new File([content!], name))];
}

describe('a file that is left out', () => {
  it('causes a warning, and the model generates as without it', async () => {
    const whole = await loadModel(backend, KJV);
    const warnings: MambaError[] = [];
    const odd = await loadModel(
      backend,
      await files({
        'generation_config.json': '<!doctype html><html></html>',
        'tokenizer_config.json': '',
        'chat_template.jinja': 'Not Found',
      }),
      { onWarning: (warning) => warnings.push(warning) },
    );
    expect(warnings.map(({ message }) => /(\w+\.\w+) is left out/.exec(message)?.[1]).sort()).toEqual([
      ...['chat_template.jinja', 'generation_config.json', 'tokenizer_config.json'],
    ]);
    const options = { prompt: 'And God said', maxTokens: 8 };
    expect(await collect(odd.generate(options))).toEqual(await collect(whole.generate(options)));
    expect(odd.tokenizer!.chatTemplate).toBeUndefined();
    await expectError(() => odd.encodeChat([{ role: 'user', content: 'x' }]), 'unsupported', 'no chat template');
  });

  it('may be the tokenizer, if a server answers with HTML: prompts are then ids', async () => {
    const page = '<html><body>Sign in</body></html>';
    const lm = await loadModel(backend, await files({ 'tokenizer.json': page }), { onWarning() {} });
    expect(lm.tokenizer).toBeUndefined();
    expect(await collect(lm.generate({ prompt: [4], maxTokens: 2 }))).toHaveLength(3);
    await expectError(() => lm.encode('And'), 'unsupported', 'no tokenizer');
  });

  it('may be the config of a tokenizer that cannot be used with it', async () => {
    const odd = JSON.stringify({ chat_template: '{{ messages[0].content }}', remove_space: 'x', bos_token: 7 });
    const warnings: string[] = [];
    const lm = await loadModel(backend, await files({ 'tokenizer_config.json': odd }), {
      onWarning: ({ message }) => warnings.push(message),
    });
    expect(warnings).toHaveLength(2);
    expect(lm.encodeChat([{ role: 'user', content: 'And God' }])).toEqual(lm.encode('And God'));
  });

  it('does not hide the eos token that only the tokenizer config names', async () => {
    const config = JSON.parse(await readFile(`${KJV}/tokenizer_config.json`, 'utf8')) as object;
    const lm = await loadModel(
      backend,
      await files({ 'tokenizer_config.json': JSON.stringify({ ...config, eos_token: 'Ġhim' }) }),
    );
    expect(lm.specialTokens.eos).toEqual([0, lm.tokenizer!.idOf('Ġhim')]);
    const pieces = await collect(lm.generate({ prompt: 'And God said unto', maxTokens: 40 }));
    expect(pieces.at(-1)!.finishReason).toBe('stop');
  });

  it('causes a warning on the page if the model is in a worker', async () => {
    const channel = new MessageChannel();
    const stop = serveLanguageModels(channel.port2 as WorkerPort, [cpu()]);
    const connection = connectLanguageModels(channel.port1 as WorkerPort);
    const warnings: MambaError[] = [];
    const folder = await mkdtemp(join(tmpdir(), 'mamba-warned-'));
    for (const name of ['config.json', 'model.safetensors'])
      await copyFile(`${FIXTURES}/mamba-tiny/${name}`, join(folder, name));
    await writeFile(join(folder, 'generation_config.json'), '{"eos_token_id": [0, 96]}');
    const lm = await connection.load(folder, { tokenizer: KJV, onWarning: (warning) => warnings.push(warning) });
    await rm(folder, { recursive: true });
    expect(lm.info).toMatchObject({ hasTokenizer: true, specialTokens: { bos: 0, eos: [0] } });
    // Warnings of the invalid id, and of the tokenizer with more tokens than the model.
    expect(warnings).toHaveLength(2);
    const [left] = warnings.filter(({ given }) => given === '96');
    expect(left).toMatchObject({ code: 'invalid-file', expected: 'an id from 0 to 95' });
    expect(left!.message).toContain('generation_config.json: eos_token_id is left out');
    connection.close();
    await stop();
    channel.port1.close();
  });
});

describe('the option tokenizer', () => {
  it('is a location or a Tokenizer', async () => {
    const without = await files({ 'tokenizer.json': undefined, 'tokenizer_config.json': undefined });
    const lm = await loadModel(backend, KJV);
    const json = JSON.parse(await readFile(`${KJV}/tokenizer.json`, 'utf8')) as object;
    for (const tokenizer of [KJV, `${KJV}/tokenizer.json`, new Tokenizer(json)]) {
      const apart = await loadModel(backend, without, { tokenizer });
      expect(apart.encode('And God said')).toEqual(lm.encode('And God said'));
    }
    const opened = await openTokenizer({ name: 'none', open: async () => undefined });
    expect(opened).toBeUndefined();
    const none = loadModel(backend, without, { tokenizer: `${FIXTURES}/mamba-tiny` });
    await expectError(() => none, 'invalid-file', 'mamba-tiny', 'no tokenizer');
  });
});

describe('a model that is too large', () => {
  it('is refused by its config before its weights are opened, and loads with the suggested dtype', async () => {
    const sizes = { hidden_size: 2560, num_hidden_layers: 64, vocab_size: 50280 };
    const config = new File([JSON.stringify({ model_type: 'mamba', ...sizes })], 'config.json');
    const opened: string[] = [];
    const store = {
      name: 'large',
      async open(file: string) {
        opened.push(file);
        return file === 'config.json' ? blobSource(config) : undefined;
      },
    };
    const error = await loadModel(backend, store).catch((reason: MambaError) => reason);
    expect(error).toMatchObject({ code: 'out-of-memory', given: '10.3 GiB of weights in float32' });
    expect(opened).toEqual(['config.json']);
    const weights = /weights: '(\w+)'/.exec((error as MambaError).remedy!)![1] as 'q8';
    expect(weights).toBe('q8');
    await expectError(() => loadModel(backend, store, { weights }), 'invalid-file', 'no weights');
    expect(opened).toContain('model.safetensors');
  });
});
