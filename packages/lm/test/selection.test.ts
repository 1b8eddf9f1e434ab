import { type Backend, createModel, type Tensor } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { reference } from '@mamba/reference';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Selection } from '../src/blocks/mamba/selection.ts';
import { loadModel, openCheckpoint } from '../src/index.ts';
import { expectError, FIXTURES } from './helpers.ts';

/** More than one chunk, and not a multiple of it. */
const TOKENS = 141;

describe('delta', () => {
  let backend: Backend;
  beforeEach(async () => {
    backend = await reference().create();
  });
  afterEach(() => backend.dispose());

  // A model with biases, one that normalises dt, and a trained one.
  it.each(['mamba-tiny-biased', 'falcon-mamba-tiny', 'kjv-mamba'])(
    'equals the input of the scan of %s',
    async (name) => {
      const checkpoint = await openCheckpoint(`${FIXTURES}/${name}`);
      const { config, source } = checkpoint;
      const ids = Array.from({ length: TOKENS }, (_, index) => (index * 37 + 5) % config.vocabSize);

      // The model runs by single operations, on a backend that records the inputs of selectiveScan.
      const given: Promise<{ delta: Float64Array; bias: Float64Array }>[] = [];
      const noting = new Proxy(backend, {
        get(target, property) {
          const value: unknown = Reflect.get(target, property, target);
          if (typeof value !== 'function') return value;
          return (...args: unknown[]): unknown => {
            if (property === 'selectiveScan') given.push(scanInputs(target, args));
            return value.apply(target, args);
          };
        },
      });
      const model = await createModel(noting, config, source, { composed: true });
      const { state, logits } = model.forward([ids]);
      const expected = (await Promise.all(given)).map(({ delta, bias }) => meansOf(delta, bias));
      for (const made of [logits!, state, model]) made.dispose();

      const lm = await loadModel(backend, `${FIXTURES}/${name}`);
      const selection = await lm.openSelection();
      // Several chunks, the last of which is shorter.
      const { tokens, layers } = await selection.deltas(ids, { chunk: 32 });
      expect(tokens).toBe(TOKENS);
      expect(layers).toHaveLength(config.blocks.length);
      for (const [layer, values] of layers.entries()) {
        expect(expected[layer]!.some((value) => Math.abs(value - expected[layer]![0]!) > 1e-4)).toBe(true);
        // Both compute in float64; the means are stored in float32, with a relative error of 2^-24.
        for (const [token, value] of values.entries())
          expect(Math.abs(value / expected[layer]![token]! - 1)).toBeLessThan(2 ** -23);
      }
      selection.dispose();
      await expectError(() => selection.deltas(ids), 'disposed');
      lm.dispose();
      await checkpoint.close();
      expect(backend.memory().tensors).toBe(0);
    },
  );

  it('is the same on the cpu backend', async () => {
    const fast = await cpu().create();
    const maps = [];
    for (const each of [backend, fast]) {
      const lm = await loadModel(each, `${FIXTURES}/kjv-mamba`);
      const selection = await lm.openSelection();
      maps.push(await selection.deltas(lm.encode('And God said, Let there be light')));
      await expectError(() => selection.deltas([5000]), 'invalid-argument', '5000');
      await expectError(() => selection.deltas([1, 2], { signal: AbortSignal.abort() }), 'aborted');
      selection.dispose();
      lm.dispose();
      expect(each.memory().tensors).toBe(0);
    }
    await fast.dispose();
    for (const [layer, values] of maps[0]!.layers.entries())
      for (const [token, value] of values.entries()) expect(maps[1]!.layers[layer]![token]).toBeCloseTo(value, 5);
  });

  it('leaves nothing on the backend if the weights cannot be read', async () => {
    const checkpoint = await openCheckpoint(`${FIXTURES}/mamba-tiny`);
    const { name, config } = checkpoint;
    const lm = await loadModel(backend, `${FIXTURES}/mamba-tiny`);
    const resting = backend.memory().tensors;
    let asked = 0;
    const failing = Selection.load(lm.model, {
      ...{ name, config },
      source: (parameter) => {
        if (++asked === 5) throw new Error('the disk is gone');
        return checkpoint.source(parameter);
      },
    });
    await expect(failing).rejects.toThrow('the disk is gone');
    const other = { ...checkpoint, config: { ...config, blocks: config.blocks.slice(1) } };
    await expectError(() => Selection.load(lm.model, other), 'invalid-file', 'not what it was');
    await checkpoint.close();
    expect(backend.memory().tensors).toBe(resting);
  });
});

async function scanInputs(backend: Backend, args: readonly unknown[]) {
  const { deltaBias } = args[5] as { readonly deltaBias: Tensor };
  const [delta, bias] = await Promise.all([backend.read(args[1] as Tensor), backend.read(deltaBias)]);
  return { delta: delta as Float64Array, bias: bias as Float64Array };
}

function meansOf(delta: Float64Array, bias: Float64Array): readonly number[] {
  return Array.from({ length: TOKENS }, (_, token) => {
    const row = delta.subarray(token * bias.length, (token + 1) * bias.length);
    return row.reduce((sum, value, channel) => sum + Math.log(1 + Math.exp(value + bias[channel]!)), 0) / bias.length;
  });
}
