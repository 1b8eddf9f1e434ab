/**
 * llama.cpp gives the same ids and logits for our GGUF files. Runs only if llama.cpp is installed as a peer of the
 * bench, and says how to install it otherwise.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  createFile,
  type GgufWritableType,
  openCheckpoint,
  readJson,
  type WriteGgufOptions,
  writeGguf,
} from '@mamba/checkpoint';
import { blocksOf, type ModelConfig, modelConfig } from '@mamba/core';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel } from '../src/index.ts';
import { FIXTURES } from './helpers.ts';

const PEER = new URL('../../../apps/bench/.peers/llama.cpp/node_modules/node-llama-cpp/dist/index.js', import.meta.url);
const LACKING = existsSync(PEER) ? undefined : 'llama.cpp is not installed: mamba-bench peers install llama.cpp';

interface Sequence {
  controlledEvaluate(
    input: readonly (number | readonly [number, object])[],
  ): Promise<readonly ({ readonly next: { readonly logits?: ReadonlyMap<number, number> } } | undefined)[]>;
}

interface Llama {
  loadModel(options: object): Promise<{
    tokenize(text: string): readonly number[];
    createContext(options: object): Promise<{ getSequence(): Sequence; dispose(): Promise<void> }>;
    dispose(): Promise<void>;
  }>;
  dispose(): Promise<void>;
}

const TEXT = 'And God said, Let there be light: and there was light.\nAnd God saw the light, that it was good.';

/**
 * The largest relative difference of logits. llama.cpp computes in float32, and in half precision for weights of half
 * precision. For quantised weights it quantises the activations to 8 bits as well, and we do not.
 */
const BOUNDS: Readonly<Record<GgufWritableType, number>> = {
  F32: 1e-4,
  F16: 2e-3,
  BF16: 1e-2,
  Q8_0: 2e-2,
  Q4_0: 2e-2,
  Q4_1: 2e-2,
  Q5_0: 2e-2,
  Q5_1: 2e-2,
};

describe.skipIf(LACKING !== undefined)(`llama.cpp${LACKING ? ` (skipped: ${LACKING})` : ''}`, () => {
  let folder: string;
  let llama: Llama | undefined;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mamba-llama-'));
    const { getLlama } = (await import(PEER.href)) as { getLlama(options: object): Promise<Llama> };
    llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, logLevel: 'error', maxThreads: 1 });
  });
  afterAll(async () => {
    await llama?.dispose();
    await rm(folder, { recursive: true });
  });

  /** The relative difference of the logits after each id of a text. */
  async function compare(text: string, options: Omit<WriteGgufOptions, 'sink'>) {
    const path = join(folder, `${options.type}.gguf`);
    const { llamaCppLimits } = await writeGguf({ ...options, sink: await createFile(path) });
    expect(llamaCppLimits).toEqual([]);

    const backend = await reference().create();
    const lm = await loadModel(backend, pathToFileURL(path));
    const { vocabSize } = lm.config;
    const theirs = await llama!.loadModel({ modelPath: path });
    const ids = lm.encode(text);
    expect([...theirs.tokenize(text)]).toEqual(ids);
    const context = await theirs.createContext({ contextSize: ids.length + 8, threads: 1 });
    const outputs = await context
      .getSequence()
      .controlledEvaluate(ids.map((id) => [id, { generateNext: { logits: true } }]));
    const { logits, state } = lm.model.forward([ids], { logits: 'all' });
    const ours = (await backend.read(logits!)) as Float64Array;
    let [worst, largest] = [0, 0];
    for (const [position, output] of outputs.entries()) {
      const found = output!.next.logits!;
      expect(found.size).toBe(vocabSize);
      for (const [id, value] of found) {
        const expected = ours[position * vocabSize + id]!;
        worst = Math.max(worst, Math.abs(value - expected));
        largest = Math.max(largest, Math.abs(expected));
      }
    }
    for (const made of [context, theirs]) await made.dispose();
    for (const made of [logits!, state, lm]) made.dispose();
    await backend.dispose();
    return { positions: outputs.length, error: worst / largest };
  }

  it.each(Object.keys(BOUNDS) as GgufWritableType[])('computes the same with a model in %s', async (type) => {
    const { config, source, specialTokens, store, close } = await openCheckpoint(`${FIXTURES}/kjv-mamba`);
    const tokenizer = await readJson(store, 'tokenizer.json');
    const { positions, error } = await compare(TEXT, { config, source, specialTokens, tokenizer, type });
    await close();
    expect(positions).toBe(30);
    expect(error).toBeLessThan(BOUNDS[type]);
  });

  it('computes the same with a Falcon-Mamba', async () => {
    const { config, source, close } = await openCheckpoint(`${FIXTURES}/falcon-mamba-tiny`);
    const { positions, error } = await compare('AndGodsaid,Lettherebelight', {
      // llama.cpp has a single epsilon for all norms.
      config: withMixerNormEps(config, config.normEps),
      ...{ source, type: 'F32', tokenizer: asciiTokenizer(config.vocabSize) },
    });
    await close();
    expect(positions).toBe(26);
    expect(error).toBeLessThan(BOUNDS.F32);
  });
});

/** 96 tokens: each printable ASCII character, one pair of them, and eos. */
function asciiTokenizer(size: number): object {
  const characters = Array.from({ length: 94 }, (_, index) => String.fromCharCode(33 + index));
  const vocab = Object.fromEntries([...characters, '!!'].map((token, id) => [token, id]));
  expect(size).toBe(96);
  return {
    added_tokens: [{ id: 95, content: '<|endoftext|>', special: true }],
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false },
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab, merges: ['! !'] },
  };
}

/** The config with another epsilon for the norms of dt, B and C. */
function withMixerNormEps(config: ModelConfig, mixerNormEps: number): ModelConfig {
  const blocks = blocksOf(config, 'mamba').map(({ block }) => ({ ...block, mixerNormEps }));
  return modelConfig({ ...config, blocks });
}
