/** Generation, sessions, snapshots and the server with other blocks than Mamba: constant states, and caches. */
import {
  bytesSource,
  type CheckpointStore,
  checkpointStore,
  memorySink,
  modelConfigJson,
  writeSafetensorsModel,
} from '@mamba/checkpoint';
import { type Backend, type ModelConfig, modelConfig, type ParameterSource, sizeOf } from '@mamba/core';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateTokens, type LanguageModel, loadModel } from '../src/index.ts';
import { serve } from '../src/server/index.ts';
import { collect, FIXTURES, golden, ids, PROVIDERS, rows } from './helpers.ts';

const mamba2 = { kind: 'mamba2', heads: 4, headDim: 8, dState: 5, dConv: 4, groups: 2 } as const;
const attention = { kind: 'attention', heads: 4, kvHeads: 2, headDim: 4, rope: { theta: 100 } } as const;
const mlp = { kind: 'mlp', dHidden: 12, activation: 'silu' } as const;

/** Blocks of a random model, and the checkpoints whose greedy ids are known. */
const MODELS = [
  { name: 'Mamba-2', blocks: [mamba2, mamba2], tiny: ['mamba2-gradients'] },
  {
    name: 'attention',
    blocks: [attention, mlp],
    tiny: ['llama-gradients', 'gpt2-gradients', 'gpt-neox-gradients'],
  },
] as const;

/** Seeded parameters. Only A must be negative. */
const source: ParameterSource = ({ name, key, shape }) => {
  let state = [...name].reduce((hash, letter) => Math.imul(hash, 31) + letter.charCodeAt(0), 7);
  const data = Float32Array.from({ length: sizeOf(shape) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const uniform = state / 2 ** 32;
    return key === 'block.A' ? -1 - uniform : uniform - 0.5;
  });
  return { dtype: 'float32', shape, data };
};

/** A random model with the tokenizer of kjv-mamba. */
async function randomModel(blocks: ModelConfig['blocks']): Promise<CheckpointStore> {
  const config = modelConfig({ dModel: 16, vocabSize: 1024, blocks });
  const sink = memorySink();
  await writeSafetensorsModel({ config, source, type: 'F32', sink });
  const json = JSON.stringify(modelConfigJson(config, { bos: undefined, eos: [0] }));
  const own: Readonly<Record<string, Uint8Array>> = {
    'config.json': new TextEncoder().encode(json),
    'model.safetensors': sink.bytes(),
  };
  const folder = checkpointStore(`${FIXTURES}/kjv-mamba`);
  return {
    name: 'somewhere/random',
    open: async (file) => (own[file] ? bytesSource(own[file], file) : folder.open(file)),
  };
}

const CASES = MODELS.flatMap((model) => PROVIDERS.map((provider) => ({ ...model, provider, on: provider.name })));

describe.each(CASES)('$name on $on', ({ provider, blocks, tiny: checkpoints }) => {
  let backend: Backend;
  let lm: LanguageModel;
  let resting: number;
  beforeAll(async () => {
    backend = await provider.create();
    lm = await loadModel(backend, await randomModel(blocks));
    resting = backend.memory().tensors;
  });
  afterAll(async () => {
    lm.dispose();
    expect(backend.memory().tensors).toBe(0);
    await backend.dispose();
  });

  it.each(checkpoints)('generates what transformers does: %s', async (name) => {
    const tiny = await loadModel(backend, `${FIXTURES}/${name}`);
    const values = await golden(name);
    const greedy = rows(values('greedy_ids'));
    for (const [row, prompt] of rows(values('input_ids')).entries())
      expect(await ids(generateTokens(tiny.model, prompt, { maxTokens: greedy[row]!.length }))).toEqual(greedy[row]);
    tiny.dispose();
  });

  it('goes on in a session, after a save, in a fork, and from a mark', async () => {
    const text = async (given: AsyncIterable<{ readonly text: string }>) =>
      (await collect(given)).map((piece) => piece.text).join('');
    const whole = await text(lm.generate({ prompt: 'In the beginning God created', maxTokens: 12 }));
    const session = lm.createSession();
    await session.append('In the beginning');
    await session.append(' God created');
    const mark = await session.mark();
    const first = await text(session.generate({ maxTokens: 5 }));
    const restored = lm.loadSession(await session.save());
    const fork = await session.fork();
    for (const each of [session, restored, fork])
      expect(first + (await text(each.generate({ maxTokens: 7 })))).toBe(whole);
    await session.rewind(mark);
    expect(await text(session.generate({ maxTokens: 12 }))).toBe(whole);
    for (const each of [session, restored, fork]) each.dispose();
    expect(backend.memory().tensors).toBe(resting);
  });

  it('answers several requests of a server at once as one after the other', async () => {
    const server = await serve(lm, { port: 0, graceMs: 0 });
    try {
      const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
      const prompts = ['And God said', 'In the beginning', 'The LORD'];
      const answers = await Promise.all(
        prompts.map((prompt) => client.completions.create({ model: 'random', prompt, max_tokens: 8, temperature: 0 })),
      );
      for (const [index, prompt] of prompts.entries()) {
        const alone = (await collect(lm.generate({ prompt, maxTokens: 8 }))).map((piece) => piece.text).join('');
        expect(answers[index]!.choices[0]!.text).toBe(alone);
      }
    } finally {
      await server.close();
    }
    expect(backend.memory().tensors).toBe(resting);
  });
});
