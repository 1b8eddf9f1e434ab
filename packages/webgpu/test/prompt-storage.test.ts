// How a prompt's activations lie between its kernels, as the rules choose it for an H100: in halves where products may
// round and the scan takes them, otherwise in floats. Nothing is computed, so this takes no hardware.
import { seededWeights } from '@mamba/conformance';
import { createModel, modelConfig } from '@mamba/core';
import { expect, test } from 'vitest';
import { type MatrixPrecision, webgpu } from '../src/index.ts';
import { H100 } from './h100.ts';
import { recordingDevice } from './recording-device.ts';

interface Prompt {
  readonly case: string;
  readonly precision: MatrixPrecision;
  readonly length?: number;
  readonly dModel?: number;
  readonly resets?: boolean;
  readonly expected: readonly string[];
}

const IN_HALVES = [
  'rms-norm/halves',
  'linear-matrix/halves',
  'causal-conv1d/halves',
  'linear-matrix/quads',
  'linear-matrix/halves',
  'selective-scan-euler/four-halves',
  'linear-matrix/quads',
];
const IN_FLOATS = IN_HALVES.map((label) => label.replace(/(?<=-matrix\/)halves/, 'quads').replace('halves', 'floats'));

test.each<Prompt>([
  { case: 'products that may round', precision: 'float16', expected: IN_HALVES },
  { case: 'pairs of halves', precision: 'float16x2', expected: IN_FLOATS },
  {
    case: 'packed sequences, which the general scan takes',
    precision: 'float16',
    resets: true,
    expected: IN_FLOATS.map((label) => label.replace('-euler/four-floats', '/quad-workgroup')),
  },
  {
    case: 'rows that are no eights',
    precision: 'float16',
    dModel: 508,
    expected: IN_FLOATS,
  },
])('$case', async ({ precision, length = 600, dModel = 512, resets = false, expected }) => {
  let shaders: string[] = [];
  const device = recordingDevice(H100, (label) => shaders.push(label.replace(/ .*/, '')));
  const backend = await webgpu({ device, matrixPrecision: precision }).create();
  const config = modelConfig({ layers: 1, dModel, vocabSize: 50 });
  const model = await createModel(backend, config, seededWeights(config, 3), { weights: 'float16' });
  const marks = backend.upload({ dtype: 'int32', shape: [1, length], data: new Int32Array(length) });
  shaders = [];
  const ids = [Array.from({ length }, () => 1)];
  const { state } = model.forward(ids, { logits: 'none', resets: resets ? marks : undefined });
  await backend.synchronize();
  // Sums of parts, and the passes of a scan in chunks, follow from the sizes.
  const apart = new Set(['embedding', 'linear-sum/floats', 'selective-scan-carry']);
  const kept = shaders.filter((label) => !apart.has(label));
  expect(kept.filter((label, index) => !label.startsWith('selective') || label !== kept[index - 1])).toEqual(expected);
  state.dispose();
  model.dispose();
  await backend.dispose();
});
