// The dispatches of a step of one layer of mamba-130m's sizes over a batch, as the rules choose them for an H100.
// Nothing is computed, so this takes no hardware; decode-variants.test.ts checks what such steps compute.
import { modelConfig } from '@mamba/core';
import { expect, test } from 'vitest';
import { recordedStep } from './recorded-step.ts';

const config = modelConfig({ layers: 2, dModel: 768, vocabSize: 52 });

const FEW = ['decode-in-proj/stored', 'decode-scan/summed', 'linear-vector/stored'];

/** The dispatches of many rows, with those between x_proj and out_proj, and the shader of products. */
function manyOf(product: string, ...between: string[]): Omit<Expected, 'rows' | 'precision'> {
  return {
    first: ['rms-norm/floats'],
    layer: [product, 'decode-conv', product, ...between, product, 'linear-sum-norm'],
    last: [product, 'linear-sum/floats'],
  };
}

interface Expected {
  readonly rows: number;
  readonly precision: 'float32' | 'float16';
  readonly first: readonly string[];
  readonly layer: readonly string[];
  readonly last: readonly string[];
}

const summed = 'decode-scan/summed';

test.each<Expected>([
  ...[1, 8].map((rows): Expected => ({ rows, precision: 'float16', first: [], layer: FEW, last: FEW.slice(2) })),
  ...[9, 64, 128].map((rows): Expected => ({ rows, precision: 'float16', ...manyOf('linear-matrix/quads', summed) })),
  ...[17, 64, 128].map((rows): Expected => ({ rows, precision: 'float32', ...manyOf('linear', summed) })),
  // Every workgroup of the scan would add up too much.
  { rows: 256, precision: 'float16', ...manyOf('linear-matrix/quads', 'linear-sum/floats', 'decode-scan/stored') },
  // in_proj reads the weights once a row, and out_proj runs in tiles.
  {
    rows: 16,
    precision: 'float32',
    first: [],
    layer: [...FEW.slice(0, 2), 'linear', 'linear-sum-norm'],
    last: ['linear', 'linear-sum/floats'],
  },
])('a step of $rows rows in $precision', async ({ rows, precision, first, layer, last }) => {
  expect(await stepOf(rows, precision)).toEqual(['embedding', ...first, ...layer, ...layer, ...last]);
});

/** The shaders of a step's dispatches, with the first of their links' choices. */
async function stepOf(batch: number, matrixPrecision: 'float32' | 'float16'): Promise<string[]> {
  const labels = await recordedStep(config, { batch, matrixPrecision });
  return labels.map((label) => label.replace(/[- ]\w*subgroup.*| .*/, ''));
}
