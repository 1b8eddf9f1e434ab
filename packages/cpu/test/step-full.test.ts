/**
 * Checks how far the logits of a token that is fed by a step may be from those of the same token in a prompt, as the
 * README promises for each type of weights.
 */
import { type Checkpoint, openCheckpoint } from '@mamba/checkpoint';
import { seededWeights } from '@mamba/conformance';
import { type Backend, createModel, type DType, type Model, modelConfig } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { uniform } from './host.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await cpu({ threads: 2 }).create();
});
afterAll(() => backend.dispose());

const FIXTURES = new URL('../../conformance/fixtures/', import.meta.url);
const LENGTH = 48;

/**
 * Bounds, as parts of the largest logit. Rows that meet q8 or q4 in a step are rounded to 16 bits; those of a prompt of
 * more than 8 tokens are not.
 */
const BOUNDS = { float32: 1e-5, float16: 1e-5, bfloat16: 1e-5, q8: 1e-3, q4: 1e-3 } as const satisfies Partial<
  Record<DType, number>
>;
const TYPES = Object.keys(BOUNDS) as readonly (keyof typeof BOUNDS)[];

test.each(TYPES)('%s: seeded models', async (dtype) => {
  for (const [layers, dModel] of [
    [2, 10],
    [24, 32],
    [4, 64],
  ] as const) {
    const config = modelConfig({ layers, dModel, vocabSize: 101 });
    const model = await createModel(backend, config, seededWeights(config, 3), { weights: dtype });
    expect(await difference(model)).toBeLessThan(BOUNDS[dtype]);
    model.dispose();
  }
});

test.each(TYPES)('%s: checkpoints', async (dtype) => {
  for (const name of ['kjv-mamba', 'mamba-tiny', 'falcon-mamba-tiny', 'mamba-tiny-biased']) {
    const checkpoint: Checkpoint = await openCheckpoint(new URL(name, FIXTURES).pathname);
    const model = await createModel(backend, checkpoint.config, checkpoint.source, { weights: dtype });
    await checkpoint.close();
    expect(await difference(model)).toBeLessThan(BOUNDS[dtype]);
    model.dispose();
  }
});

/** Largest difference of logits by a prompt and by steps, as a part of the largest logit. */
async function difference(model: Model): Promise<number> {
  const { vocabSize } = model.config;
  const ids = [...uniform(LENGTH, 5, 0, vocabSize)].map(Math.floor);
  const whole = model.forward([ids], { logits: 'all' });
  const expected = (await backend.read(whole.logits!)) as Float32Array;
  const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  whole.state.dispose();
  whole.logits!.dispose();
  let worst = 0;
  let state = model.zeroState(1);
  for (const [at, id] of ids.entries()) {
    const step = model.forward([[id]], { state, donateState: true, logits: 'last' });
    state = step.state;
    const values = await backend.read(step.logits!);
    for (let v = 0; v < vocabSize; v++) worst = Math.max(worst, Math.abs(values[v]! - expected[at * vocabSize + v]!));
    step.logits!.dispose();
  }
  state.dispose();
  return worst / scale;
}
