import { seededWeights } from '@mamba/conformance';
import { type CreateModelOptions, createModel, type ModelConfig } from '@mamba/core';
import { type WebGpuOptions, webgpu } from '../src/index.ts';
import { H100 } from './h100.ts';
import { recordingDevice } from './recording-device.ts';

interface RecordedStep extends Pick<CreateModelOptions, 'composed'>, Pick<WebGpuOptions, 'matrixPrecision'> {
  /** The number of rows. */
  readonly batch: number;
}

/** The labels of the pipelines of a step's dispatches, of a model with float16 weights on an H100. */
export async function recordedStep(config: ModelConfig, { batch, composed, matrixPrecision }: RecordedStep) {
  let labels: string[] = [];
  const device = recordingDevice(H100, (label) => labels.push(label));
  const backend = await webgpu({ device, matrixPrecision }).create();
  const model = await createModel(backend, config, seededWeights(config, 3), { weights: 'float16', composed });
  const ids = Array.from({ length: batch }, () => [1]);
  const first = model.forward(ids, { logits: 'last' });
  first.logits!.dispose();
  await backend.synchronize();
  labels = [];
  const next = model.forward(ids, { logits: 'last', state: first.state, donateState: true });
  next.logits!.dispose();
  next.state.dispose();
  await backend.synchronize();
  model.dispose();
  await backend.dispose();
  return labels;
}
