/**
 * Optional files beside the model, which may be absent, unusable, unreadable or something else. None of that prevents
 * loading, and none is taken for valid content.
 */
import { readFile } from 'node:fs/promises';
import { MambaError } from '@mamba/core';
import { describe, expect, it } from 'vitest';
import { type CheckpointStore, openCheckpoint, parseSpecialTokens, Refused, readTokenizerFiles } from '../src/index.ts';
import { expectError, FIXTURES, memoryStore } from './helpers.ts';

type Files = Record<string, string | Uint8Array>;

const PAGES = [
  '<!doctype html><html><head><title>My app</title></head><body>{{ app }}</body></html>',
  '\ufeff\n  <!-- served by -->\n<HTML lang="en"><body>{% x %}</body></HTML>',
  '<?xml version="1.0" encoding="UTF-8"?><Error><Code>NoSuchKey</Code></Error>',
  '<head></head>',
];
const POINTER = 'version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 40319\n';

async function fixture(folder = 'kjv-mamba'): Promise<Files> {
  const names = [
    'config.json',
    'generation_config.json',
    'model.safetensors',
    'tokenizer.json',
    'tokenizer_config.json',
  ];
  const files: Files = {};
  for (const name of names) files[name] = await readFile(`${FIXTURES}/${folder}/${name}`);
  return files;
}

/** Opens a checkpoint and collects the warnings. */
async function open(store: CheckpointStore) {
  const warnings: MambaError[] = [];
  // The listener returns a number, which must be ignored.
  const onWarning = (warning: MambaError) => warnings.push(warning);
  const checkpoint = await openCheckpoint(store, { onWarning });
  const files = await checkpoint.tokenizerFiles();
  await checkpoint.close();
  for (const warning of warnings) expect(warning).toBeInstanceOf(MambaError);
  return { checkpoint, files, warnings, text: warnings.map(({ message }) => message).join('\n') };
}

/** A store that refuses some names, as a host may that does not have these files. */
function refusing(files: Files, names: readonly string[], status: string): CheckpointStore {
  const store = memoryStore(files);
  return {
    name: store.name,
    async open(file) {
      if (!names.includes(file)) return store.open(file);
      throw new MambaError('io', `the server did not give ${file}`, {
        given: `status ${status}`,
        cause: new Refused(Number.parseInt(status, 10)),
      });
    },
  };
}

const parse = (files: Files, name: string) => JSON.parse(new TextDecoder().decode(files[name] as Uint8Array)) as object;

describe('files that a model can do without', () => {
  const optional = ['generation_config.json', 'tokenizer_config.json', 'chat_template.jinja'];
  const odd: [string, string | Uint8Array][] = [
    ['nothing', ''],
    ['half of a file', '{"eos_token_id": ['],
    ['a list', '[]'],
    ['null', 'null'],
    ['a number', '5'],
    ['a key twice', '{"eos_token_id": 0, "eos_token_id": 0}'],
    ['brackets alone', '['.repeat(100_000)],
    ['bytes', new Uint8Array([0xff, 0xfe, 0, 1])],
    ['a message', '{"error": "Entry not found"}'.slice(0, 27)],
    ['a pointer', POINTER],
    ...PAGES.map((page, index): [string, string] => [`page ${index}`, page]),
  ];
  it.each(odd)('are left out where they are %s, with a word of it', async (_, content) => {
    for (const name of optional) {
      const store = memoryStore({ ...(await fixture()), [name]: content });
      const { checkpoint, files, warnings, text } = await open(store);
      expect(warnings.length, `${name}: ${text}`).toBe(1);
      expect(text).toContain(name);
      expect(text).toContain('left out');
      expect(checkpoint.specialTokens).toEqual({ bos: 0, eos: [0] });
      expect(files.config.chat_template).toBeUndefined();
      expect(files.json).toBeDefined();
      expect(store.opened).toBe(0);
    }
  });

  it('may be absent, in silence', async () => {
    const { 'config.json': config, 'model.safetensors': model } = await fixture();
    const { files, warnings } = await open(memoryStore({ 'config.json': config!, 'model.safetensors': model! }));
    expect(warnings).toEqual([]);
    expect(files).toMatchObject({ json: undefined, config: {} });
  });

  it.each(['401 Unauthorized', '403 Forbidden', '403 for x'])('may be refused with %s', async (status) => {
    const files = await fixture();
    const absent = [...optional, 'tokenizer.json', 'vocab.json', 'merges.txt'];
    const { files: found, text } = await open(refusing(files, absent, status));
    expect(found.json).toBeUndefined();
    for (const name of ['generation_config.json', 'tokenizer_config.json', 'tokenizer.json'])
      expect(text).toContain(`${name} is left out: got status ${status}`);
    await expectError(
      openCheckpoint(refusing(files, ['config.json'], status)),
      'io',
      'config.json',
      status.slice(0, 3),
    );
    await expectError(openCheckpoint(refusing(files, ['model.safetensors'], status)), 'io', 'model.safetensors');
  });

  it('may not be readable, but an abort is one', async () => {
    const files = await fixture();
    const failing = (error: unknown): CheckpointStore => ({
      ...memoryStore(files),
      open: async (file) => {
        if (file === 'generation_config.json') throw error;
        return memoryStore(files).open(file);
      },
    });
    expect((await open(failing(new MambaError('io', 'the disk is broken')))).text).toContain('the disk is broken');
    expect((await open(failing(new Error('another error')))).text).toContain('another error');
    await expectError(openCheckpoint(failing(new MambaError('aborted', 'enough'))), 'aborted');
  });

  it('are told of on the console where nobody listens, and once', async () => {
    const told: unknown[] = [];
    const { warn } = console;
    console.warn = (text: unknown) => void told.push(text);
    try {
      const checkpoint = await openCheckpoint(memoryStore({ ...(await fixture()), 'generation_config.json': '' }));
      await (await checkpoint.reopen()).close();
      await checkpoint.close();
    } finally {
      console.warn = warn;
    }
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(/generation_config\.json is left out/);
  });
});

describe('the end of text', () => {
  it('is what config, generation config and tokenizer config say together', async () => {
    const files = await fixture();
    const tokenizer = { ...parse(files, 'tokenizer_config.json'), eos_token: { content: 'Ġhim' } };
    const { checkpoint, warnings } = await open(
      memoryStore({
        ...files,
        'generation_config.json': JSON.stringify({ eos_token_id: [3, 5, 0] }),
        'tokenizer_config.json': JSON.stringify(tokenizer),
      }),
    );
    expect(warnings).toEqual([]);
    expect(checkpoint.specialTokens).toEqual({ bos: 0, eos: [0, 3, 5, 330] });
  });

  it('is found by the name that the tokenizer config lists, the tokenizer adds or its vocabulary has', async () => {
    const { 'tokenizer.json': json, ...files } = await fixture();
    const none = { ...parse(files, 'config.json'), bos_token_id: null, eos_token_id: null };
    delete files['generation_config.json'];
    const eosOf = async (config: object, tokenizer?: string | Uint8Array) => {
      const { checkpoint, text } = await open(
        memoryStore({
          ...files,
          'config.json': JSON.stringify(none),
          'tokenizer_config.json': JSON.stringify(config),
          ...(tokenizer !== undefined && { 'tokenizer.json': tokenizer }),
        }),
      );
      return { ...checkpoint.specialTokens, text };
    };
    const listed = { eos_token: '<|im_end|>', added_tokens_decoder: { 7: { content: '<|im_end|>' } } };
    expect(await eosOf(listed)).toEqual({ bos: undefined, eos: [7], text: '' });
    expect(await eosOf({ bos_token: '<|endoftext|>', eos_token: 'Ġhim' }, json)).toEqual({
      bos: 0,
      eos: [330],
      text: '',
    });
    const unigram = JSON.stringify({
      model: {
        type: 'Unigram',
        vocab: [
          ['<unk>', 0],
          ['</s>', 0],
        ],
      },
    });
    expect(await eosOf({ eos_token: '</s>' }, unigram)).toMatchObject({ eos: [1] });

    const unknown = await eosOf({ eos_token: '</s>' }, json);
    expect(unknown).toMatchObject({ eos: [], text: expect.stringContaining('eos_token is left out: got "</s>"') });
    expect((await eosOf({ eos_token: '</s>' })).text).toContain('a tokenizer beside it');
    const number = await eosOf({ eos_token: 5 }, json);
    expect(number).toMatchObject({ eos: [], text: expect.stringContaining('got 5, expected a token') });
    const beyond = { eos_token: 'x', added_tokens_decoder: { 5000: { content: 'x' } } };
    expect((await eosOf(beyond, json)).text).toContain('got 5000, expected an id from 0 to 1023');
  });

  it('is no id that the vocabulary does not have', () => {
    const warnings: string[] = [];
    const read = (...jsons: unknown[]) =>
      parseSpecialTokens(
        96,
        jsons.map((json, index) => ({ origin: `file ${index}`, json })),
        ({ message }) => void warnings.push(message),
      );
    expect(read({ bos_token_id: 50256, eos_token_id: 50256 })).toEqual({ bos: undefined, eos: [] });
    expect(warnings.splice(0)).toEqual([
      'file 0: bos_token_id is left out: got 50256, expected an id from 0 to 95',
      'file 0: eos_token_id is left out: got 50256, expected an id from 0 to 95',
    ]);
    expect(read({ eos_token_id: [1, -1, 95, 96, '7', 1.5, null] }, { bos_token_id: 2, eos_token_id: 1 })).toEqual({
      bos: 2,
      eos: [1, 95],
    });
    expect(warnings.splice(0)).toHaveLength(5);
    expect(read({ bos_token_id: 1 }, undefined, null, [], 5, { bos_token_id: 3 }, { bos_token_id: -1 })).toEqual({
      bos: 3,
      eos: [],
    });
    expect(warnings).toHaveLength(1);
  });
});

describe('chat templates', () => {
  const template = '{{ bos_token }}{{ messages[0].content }}';
  const read = async (more: Files) => {
    const warnings: string[] = [];
    const { config } = await readTokenizerFiles(
      memoryStore({ ...(await fixture()), ...more }),
      ({ message }) => void warnings.push(message),
    );
    return { template: config.chat_template, warnings };
  };
  const named = (given: unknown): Files => ({ 'tokenizer_config.json': JSON.stringify({ chat_template: given }) });

  it('are those of a file of their own, of the config, or that by the name of default', async () => {
    const other = '{% if true %}{% endif %}';
    expect(await read(named(template))).toEqual({ template, warnings: [] });
    expect(await read({ ...named(other), 'chat_template.jinja': template })).toEqual({ template, warnings: [] });
    const several = [
      { name: 'rag', template: other },
      { name: 'default', template },
    ];
    expect(await read(named(several))).toEqual({ template, warnings: [] });
    expect(await read(named(null))).toEqual({ template: undefined, warnings: [] });
  });

  it('are left out where they are of another form', async () => {
    const forms: unknown[] = [[null], [], {}, 5, true, '', 'Not Found', [{ name: 'default' }], [[template]]];
    for (const given of [...forms, [{ name: 'tool_use', template }], [{ name: 'default', template: 5 }]]) {
      const { template: found, warnings } = await read(named(given));
      expect(found, JSON.stringify(given)).toBeUndefined();
      expect(warnings, JSON.stringify(given)).toHaveLength(1);
      expect(warnings[0]).toContain('chat_template is left out');
    }
    expect((await read(named([{ name: 'tool_use', template }]))).warnings[0]).toContain('templates named "tool_use"');
  });

  it('fall back to that of the config where the file is another thing', async () => {
    for (const content of [...PAGES, POINTER, 'Not Found', '']) {
      const found = await read({ ...named(template), 'chat_template.jinja': content });
      expect(found.template).toBe(template);
      expect(found.warnings).toHaveLength(1);
    }
  });
});

describe('files that are something else', () => {
  it('are named as what they are where the model needs them', async () => {
    const files = await fixture();
    for (const name of ['config.json', 'model.safetensors']) {
      for (const page of PAGES)
        await expectError(openCheckpoint(memoryStore({ ...files, [name]: page })), 'invalid-file', name, 'a page');
      const pointer = memoryStore({ ...files, [name]: POINTER });
      await expectError(openCheckpoint(pointer), 'invalid-file', name, 'Git LFS pointer', '40319', 'git lfs pull');
      expect(pointer.opened).toBe(0);
    }
    const gguf = (content: string): CheckpointStore => ({
      ...memoryStore({ 'model.gguf': content }),
      list: async () => ['model.gguf'],
    });
    await expectError(openCheckpoint(gguf(POINTER)), 'invalid-file', 'Git LFS pointer');
    await expectError(openCheckpoint(gguf(PAGES[0]!)), 'invalid-file', 'a page');
  });

  it('leave no tokenizer where it is a page, and are an error where it is a pointer or damaged', async () => {
    const files = await fixture();
    const { files: found, text } = await open(memoryStore({ ...files, 'tokenizer.json': PAGES[0]! }));
    expect(found.json).toBeUndefined();
    expect(text).toContain('tokenizer.json is left out: got a page');
    for (const [content, word] of [
      [POINTER, 'Git LFS'],
      ['{', 'not JSON'],
      ['[]', 'a JSON object'],
    ] as const) {
      const checkpoint = await openCheckpoint(memoryStore({ ...files, 'tokenizer.json': content }));
      await expectError(checkpoint.tokenizerFiles(), 'invalid-file', 'tokenizer.json', word);
      await checkpoint.close();
    }
  });
});

describe('settings of a tokenizer', () => {
  it('that are of another kind are left out one by one', async () => {
    const warnings: string[] = [];
    const config = {
      add_bos_token: 'yes',
      remove_space: 1,
      bos_token: false,
      pad_token: 5,
      additional_special_tokens: {},
      model_max_length: '1e30',
    };
    const store = memoryStore({ ...(await fixture()), 'tokenizer_config.json': JSON.stringify(config) });
    const files = await readTokenizerFiles(store, ({ message }) => void warnings.push(message));
    expect(files.config).toEqual({ bos_token: false, model_max_length: '1e30' });
    expect(warnings.map((text) => /: (\w+) is left out/.exec(text)?.[1])).toEqual([
      ...['add_bos_token', 'remove_space', 'pad_token', 'additional_special_tokens'],
    ]);
  });
});

describe('a tokenizer', () => {
  it('of more tokens than the model has is told of, once', async () => {
    const files = await fixture();
    const json = parse(files, 'tokenizer.json') as { added_tokens: object[]; model: { vocab: object } };
    const added = { id: 1024, content: '<pad>', special: true };
    const unigram = { type: 'Unigram', vocab: Array.from({ length: 1030 }, (_, id) => [`t${id}`, 0]) };
    for (const [changed, word] of [
      [{ ...json, added_tokens: [...json.added_tokens, added] }, 'got "<pad>", expected ids below 1024'],
      [{ ...json, model: { ...json.model, vocab: { ...json.model.vocab, x: 5000, y: 1024 } } }, '"x" and 1 more'],
      [{ ...json, model: unigram }, '"t1024" and 5 more'],
    ] as const) {
      const warnings: string[] = [];
      const store = memoryStore({ ...files, 'tokenizer.json': JSON.stringify(changed) });
      const checkpoint = await openCheckpoint(store, { onWarning: ({ message }) => warnings.push(message) });
      await checkpoint.tokenizerFiles();
      await checkpoint.tokenizerFiles();
      expect(warnings).toEqual([expect.stringContaining(word)]);
      expect(warnings[0]).toContain('tokenizer.json has tokens that the model has not');
      await checkpoint.close();
    }
  });
});

describe('an adapter', () => {
  const adapter = JSON.stringify({ peft_type: 'LORA', base_model_name_or_path: 'owner/base', r: 8 });

  it('is named as what it is where a model is asked for', async () => {
    const { 'config.json': config, 'model.safetensors': model } = await fixture();
    const alone = { 'adapter_config.json': adapter, 'adapter_model.safetensors': 'x' };
    for (const files of [alone, { ...alone, 'config.json': config! }])
      await expectError(
        openCheckpoint(memoryStore(files), { onWarning() {} }),
        ...(['unsupported', 'adapter_config.json', 'an adapter (LORA) of "owner/base"', 'merge_and_unload'] as const),
      );
    const nameless = memoryStore({ 'adapter_config.json': '{}' });
    await expectError(openCheckpoint(nameless), 'unsupported', 'a model that it does not name');
    await expectError(openCheckpoint(memoryStore({ 'adapter_config.json': '[' })), 'invalid-file', 'no config.json');

    // The remedy is a whole model, beside which the adapter is left out.
    const files = { ...alone, 'config.json': config!, 'model.safetensors': model! };
    const { text } = await open(Object.assign(memoryStore(files), { list: async () => Object.keys(files) }));
    expect(text).toContain('adapter_config.json is left out: got an adapter (LORA) of "owner/base"');
  });
});
