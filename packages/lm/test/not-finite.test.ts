/** Values that are not finite never give a token: generating and scoring report where they began. */
import { readFile } from 'node:fs/promises';
import type { Backend } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Batcher, type GeneratedPiece, generateTokens, type LanguageModel, loadModel } from '../src/index.ts';
import { serve } from '../src/server/index.ts';
import { collect, expectError, FIXTURES, PROVIDERS } from './helpers.ts';

const TINY = `${FIXTURES}/mamba-tiny`;
const KJV = `${FIXTURES}/kjv-mamba`;
const EMBEDDING = 'backbone.embeddings.weight';

interface Change {
  readonly tensor?: string;
  readonly value?: number;
  /** The index of the replaced value. */
  readonly at?: number;
}

/** The files of a checkpoint with an untied head, and with one value of a tensor replaced. */
async function changed(folder: string, { tensor, value = 0, at = 0 }: Change): Promise<File[]> {
  const bytes = await readFile(`${folder}/model.safetensors`);
  const size = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + size).toString()) as Record<string, TensorHeader>;
  const [begin, end] = header[EMBEDDING]!.data_offsets;
  const rest = bytes.length - 8 - size;
  header['lm_head.weight'] = { ...header[EMBEDDING]!, data_offsets: [rest, rest + end - begin] };
  const data = Buffer.concat([bytes.subarray(8 + size), bytes.subarray(8 + size + begin, 8 + size + end)]);
  if (tensor !== undefined) data.writeFloatLE(value, header[tensor]!.data_offsets[0] + 4 * at);
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const config = JSON.parse(await readFile(`${folder}/config.json`, 'utf8')) as object;
  const files = [
    new File([length, text, data], 'model.safetensors'),
    new File([JSON.stringify({ ...config, tie_word_embeddings: false })], 'config.json'),
  ];
  if (folder === KJV) files.push(new File([await readFile(`${folder}/tokenizer.json`)], 'tokenizer.json'));
  return files;
}

interface TensorHeader {
  readonly data_offsets: readonly [number, number];
}

describe.each(PROVIDERS)('a model with values that are not finite on $name', (provider) => {
  let backend: Backend;
  let sound: LanguageModel;
  beforeAll(async () => {
    backend = await provider.create();
    sound = await loadModel(backend, TINY);
  });
  afterAll(() => backend.dispose());

  const request = { prompt: [1, 2, 3, 4, 5], maxTokens: 6, stopIds: [] };
  const ways: Readonly<Record<string, (lm: LanguageModel) => Promise<unknown>>> = {
    greedy: (lm) => collect(lm.generate(request)),
    'token by token': (lm) => collect(lm.generate({ ...request, block: 1 })),
    sampled: (lm) => collect(lm.generate({ ...request, temperature: 1, seed: 1 })),
    filtered: (lm) => collect(lm.generate({ ...request, temperature: 1, seed: 1, topK: 5, topP: 0.9, minP: 0.01 })),
    'on the host': (lm) => collect(lm.generate({ ...request, repetitionPenalty: 1.2 })),
    typical: (lm) => collect(lm.generate({ ...request, temperature: 1, seed: 1, typicalP: 0.9 })),
    'with log-probabilities': (lm) => collect(lm.generate({ ...request, logProbs: true })),
    'with the likeliest tokens': (lm) => collect(lm.generate({ ...request, topLogProbs: 3 })),
    'with a bias': (lm) => collect(lm.generate({ ...request, logitBias: { 4: 100, 5: Number.NEGATIVE_INFINITY } })),
    'with a draft': (lm) => collect(lm.generate({ ...request, draft: sound })),
    'as a draft': (lm) => collect(sound.generate({ ...request, draft: lm })),
    'in a batch': (lm) => collect(lm.generateBatch([request, { ...request, prompt: [7], temperature: 1, seed: 1 }])),
    'in a batcher': (lm) => collect(lm.generate({ ...request, batcher: new Batcher(lm) })),
    'as tokens': (lm) => collect(generateTokens(lm.model, request.prompt)),
    'in a session': async (lm) => {
      const session = lm.createSession();
      try {
        await session.append(request.prompt);
        await collect(session.generate({ maxTokens: 6 }));
      } finally {
        session.dispose();
      }
    },
    'as a score': (lm) => lm.score(request.prompt),
  };
  const faults: readonly (readonly [tensor: string, value: number, part: string])[] = [
    ['backbone.norm_f.weight', Number.NaN, 'the final norm'],
    ['backbone.layers.0.mixer.dt_proj.bias', Number.POSITIVE_INFINITY, 'layer 0'],
    ['backbone.layers.1.mixer.out_proj.weight', Number.NaN, 'layer 1'],
    ['backbone.layers.1.norm.weight', Number.NEGATIVE_INFINITY, 'layer 1'],
    [EMBEDDING, Number.NaN, 'the embedding'],
    ['lm_head.weight', Number.POSITIVE_INFINITY, 'the head'],
    ['lm_head.weight', Number.NEGATIVE_INFINITY, 'the head'],
  ];

  it.each(faults)('reports that it began in %s, by %d', async (tensor, value, part) => {
    const lm = await loadModel(
      backend,
      await changed(TINY, { tensor, value, at: 48 * (tensor === EMBEDDING ? 3 : 0) }),
    );
    const resting = backend.memory().tensors;
    for (const [way, run] of Object.entries(ways)) {
      const words = [`begins in ${part}, in the weight ${tensor}`, `got ${value} at [`];
      await expectError(() => run(lm), 'not-finite', ...words, way === 'as a draft' ? 'the draft' : 'the model');
      expect(backend.memory().tensors, way).toBe(resting);
    }
    lm.dispose();
    // The remedy, a sound checkpoint, works.
    for (const run of Object.values(ways)) await run(sound);
  });

  it.each(faults.filter(([tensor]) => tensor !== 'lm_head.weight'))(
    'gives no embedding of %s, by %d',
    async (...fault) => {
      const [tensor, value, part] = fault;
      const lm = await loadModel(
        backend,
        await changed(TINY, { tensor, value, at: 48 * (tensor === EMBEDDING ? 3 : 0) }),
      );
      const resting = backend.memory().tensors;
      const words = [`begins in ${part}, in the weight ${tensor}`, `got ${value} at [`];
      for (const pooling of ['last', 'mean', 'none'] as const)
        await expectError(() => lm.hiddenStates(request.prompt, { pooling, chunk: 2 }), 'not-finite', ...words);
      expect(backend.memory().tensors).toBe(resting);
      lm.dispose();
    },
  );

  it('gives the tokens before the failure, and a session keeps them', async () => {
    const whole = await loadModel(backend, await changed(TINY, {}));
    const greedy = (await collect(whole.generate({ ...request, maxTokens: 12 }))).flatMap(({ id }) => id ?? []);
    const others = (await collect(whole.generate({ ...request, prompt: [8, 9], maxTokens: 12 }))).map(({ id }) => id);
    const bad = greedy.findIndex((id, at) => at > 1 && greedy.indexOf(id) === at && !others.includes(id));
    expect(bad).toBeGreaterThan(1);
    const at = greedy[bad]! * whole.config.dModel;
    whole.dispose();
    const lm = await loadModel(backend, await changed(TINY, { tensor: EMBEDDING, value: Number.NaN, at }));
    const resting = backend.memory().tensors;
    const given = greedy.slice(0, bad + 1);
    const batcher = new Batcher(lm);
    const asked = { ...request, maxTokens: 12 };
    for (const [way, options] of Object.entries({
      ...{
        plain: {},
        'token by token': { block: 1 },
        'with log-probabilities': { logProbs: true },
        batched: { batcher },
      },
      ...{ 'on the host': { topLogProbs: 1 }, sampled: { temperature: 1e-30, seed: 1 }, drafted: { draft: sound } },
    })) {
      const pieces: GeneratedPiece[] = [];
      const other = collect(lm.generate({ ...asked, prompt: [8, 9], batcher }));
      await expectError(
        async () => {
          for await (const piece of lm.generate({ ...asked, ...options })) pieces.push(piece);
        },
        'not-finite',
        `the embedding, in the weight ${EMBEDDING}`,
        `[${greedy[bad]}, 0]`,
      );
      expect(
        pieces.map(({ id }) => id),
        way,
      ).toEqual(given);
      // Another request continues.
      expect((await other).map(({ id }) => id)).toEqual(others);
    }

    const pieces: number[] = [];
    await expectError(async () => {
      for await (const { index, id } of lm.generateBatch([asked, { ...asked, prompt: [8, 9] }]))
        if (index === 0) pieces.push(id!);
    }, 'not-finite');
    expect(pieces).toEqual(given);
    expect(backend.memory().tensors).toBe(resting);

    const session = lm.createSession();
    await session.append(request.prompt);
    const mark = session.mark();
    await expectError(() => collect(session.generate({ maxTokens: 12, stopIds: [] })), 'not-finite');
    expect(session.recent).toEqual([...request.prompt, ...given]);
    await expectError(() => collect(session.generate({ maxTokens: 12, stopIds: [] })), 'not-finite');
    session.rewind(mark);
    const again = await collect(session.generate({ maxTokens: bad, stopIds: [] }));
    expect(again.flatMap(({ id }) => id ?? [])).toEqual(greedy.slice(0, bad));
    // A stop string before the failure ends the text normally.
    session.rewind(mark);
    const stopped = await collect(session.generate({ maxTokens: 12, stopIds: [greedy[bad]!] }));
    expect(stopped.at(-1)!.finishReason).toBe('stop');
    session.dispose();
    lm.dispose();
  });
});

it('reports an overflow, which a float64 backend does not have', async () => {
  const files = await changed(TINY, { tensor: 'backbone.layers.1.norm.weight', value: 3e38 });
  const [backend, wide] = await Promise.all([cpu().create(), reference().create()]);
  const lm = await loadModel(backend, files);
  const words = ['layer 1, whose weights are all finite', 'float32', 'such as reference'];
  await expectError(() => collect(lm.generate({ prompt: [1, 2, 3] })), 'not-finite', ...words);
  await expectError(() => lm.score([1, 2, 3]), 'not-finite', ...words);
  const held = await loadModel(wide, files);
  expect(await collect(held.generate({ prompt: [1, 2, 3], maxTokens: 4, stopIds: [] }))).toHaveLength(5);
  await backend.dispose();
  await wide.dispose();
});

it('refuses a bias that forbids every token', async () => {
  const backend = await cpu().create();
  const lm = await loadModel(backend, TINY);
  const logitBias = Object.fromEntries(Array.from({ length: 96 }, (_, id) => [id, Number.NEGATIVE_INFINITY]));
  const generate = (bias: Record<number, number>) =>
    collect(lm.generate({ prompt: [1], maxTokens: 2, stopIds: [], logitBias: bias }));
  await expectError(() => generate(logitBias), 'invalid-argument', 'forbids every token', 'at least one');
  const { 7: _, ...others } = logitBias;
  expect((await generate(others)).map(({ id }) => id)).toEqual([7, 7, undefined]);
  await backend.dispose();
});

it('makes a server answer with 500, whole or streamed', async () => {
  const backend = await cpu().create();
  const lm = await loadModel(backend, await changed(KJV, { tensor: 'backbone.layers.2.mixer.D', value: Number.NaN }));
  const server = await serve(lm, { port: 0, graceMs: 0, onError() {} });
  const ask = async (fields: object) => {
    const completion = { prompt: 'And God said', max_tokens: 4 };
    const body = JSON.stringify({ model: server.name, ...('input' in fields ? {} : completion), ...fields });
    const headers = { 'Content-Type': 'application/json' };
    const path = 'input' in fields ? 'embeddings' : 'completions';
    const response = await fetch(`${server.url}/v1/${path}`, { method: 'POST', headers, body });
    return { status: response.status, text: await response.text() };
  };
  for (const temperature of [0, 1]) {
    const whole = await ask({ temperature });
    expect(whole.status).toBe(500);
    expect(whole.text).toContain('layer 2, in the weight backbone.layers.2.mixer.D');
    const streamed = await ask({ temperature, stream: true });
    expect(streamed.text).toContain('layer 2, in the weight backbone.layers.2.mixer.D');
    expect(streamed.text).not.toContain('finish_reason":"stop"');
  }
  for (const encoding_format of ['float', 'base64']) {
    const embedded = await ask({ input: 'And God said', encoding_format });
    expect(embedded.status).toBe(500);
    expect(embedded.text).toContain('layer 2, in the weight backbone.layers.2.mixer.D');
  }
  await server.close();
  lm.dispose();
  await backend.dispose();
});
