import { cacheBytesPerToken } from '@mamba/bench/cache';
import { type BlockConfig, modelConfig } from '@mamba/core';
import { expect, test } from 'vitest';
import { growingState } from '../src/curves/cache.ts';

const dModel = 64;
const attention = { kind: 'attention', heads: 4, headDim: 16 } as const;
const mlp = { kind: 'mlp', dHidden: 4 * dModel, activation: 'gelu', gated: false } as const;
const model = (blocks: readonly BlockConfig[]) => modelConfig({ dModel, vocabSize: 8, blocks });

test('a Transformer has its own cache', () => {
  const layers = 3;
  const transformer = model(Array.from({ length: layers }, () => [attention, mlp]).flat());
  expect(cacheBytesPerToken(transformer)).toBe(2 * 4 * dModel * layers);
  const [first, ...others] = growingState(transformer, 640);
  const last = others.at(-1)!;
  expect([first![0], last[0]]).toEqual([0, 640]);
  expect(last[1] - first![1]).toBe(640 * cacheBytesPerToken(transformer));
});

test('two Mamba blocks stand for about a layer, and a block of attention for a third', () => {
  const layer = 2 * 4 * dModel;
  const mamba = modelConfig({ layers: 2, dModel, vocabSize: 8 });
  expect(cacheBytesPerToken(mamba) / layer).toBeGreaterThan(1);
  expect(cacheBytesPerToken(mamba) / layer).toBeLessThan(1.4);
  const hybrid = model([...mamba.blocks, attention]);
  expect(cacheBytesPerToken(hybrid)).toBeCloseTo(cacheBytesPerToken(mamba) + layer / 3, -1);
});

test('a window ends the growth of a state', () => {
  const windowed = growingState(model([{ ...attention, window: 100 }]), 640);
  expect(windowed.find(([tokens]) => tokens >= 100)![1]).toBe(windowed.at(-1)![1]);
});
