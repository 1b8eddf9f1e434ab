import { bytesSource } from '@mamba/checkpoint';
import { type Backend, type HostArray, modelConfig, type Tensor } from '@mamba/core';
import { byteTokens, type TokenSource } from '../src/data/tokens.ts';
import { initialParameters } from '../src/model/initialise.ts';
import { TrainableModel } from '../src/model/trainable.ts';
import type { StepMetrics, Trainer } from '../src/trainer/trainer.ts';

/** A text as tokens. */
export function textTokens(text: string): TokenSource {
  return byteTokens(bytesSource(new TextEncoder().encode(text)));
}

/** The config of a model that is trained in milliseconds. */
export const TINY = modelConfig({ layers: 2, dModel: 4, vocabSize: 16 }, { dState: 2, tiedHead: false });

/** A new tiny model, or one of another vocabulary. */
export function tinyModel(backend: Backend, vocabSize = 16, seed = 1): Promise<TrainableModel> {
  const config = { ...TINY, vocabSize };
  return TrainableModel.create(backend, config, initialParameters(config, { seed }));
}

/** The trained values and the moments, by name. */
export async function everyValue(trainer: {
  readonly model: TrainableModel;
  readonly optimiser: { readonly moments: ReadonlyMap<string, { readonly first: Tensor; readonly second: Tensor }> };
}): Promise<ReadonlyMap<string, HostArray>> {
  const { backend, parameters } = trainer.model;
  const values = new Map<string, HostArray>();
  for (const { name, tensor } of parameters) values.set(name, await backend.read(tensor));
  for (const [name, { first, second }] of trainer.optimiser.moments) {
    values.set(`first.${name}`, await backend.read(first));
    values.set(`second.${name}`, await backend.read(second));
  }
  return values;
}

/** Trains to a step, and returns the metrics that repeat. */
export async function trainTo(
  trainer: Trainer,
  until: number,
): Promise<readonly Omit<StepMetrics, 'tokensPerSecond'>[]> {
  const metrics: Omit<StepMetrics, 'tokensPerSecond'>[] = [];
  await trainer.run({ until, onStep: ({ tokensPerSecond: _, ...exact }: StepMetrics) => metrics.push(exact) });
  return metrics;
}
