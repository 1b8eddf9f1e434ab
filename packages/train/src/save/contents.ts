/**
 * What a save holds beside a model as others read it (`config.json`, `model.safetensors`, the tokenizer):
 * `training.json` with the progress, and `optimizer.safetensors` with
 * - `first.NAME` and `second.NAME`: the moments of a parameter;
 * - `trained.NAME`: the trained values of a parameter, where the model's file, in float32, does not give them back;
 * - `carried.LAYER.SLOT`: the state that the next batch continues.
 *
 * A model that no family of checkpoints can express is saved by these two files alone, which hold all of it then.
 */
import type { ModelConfig, Tensor } from '@mamba/core';
import type { Progress, Trainer } from '../trainer/trainer.ts';
import type { LazyTensor } from './tensors.ts';

export const TRAINING_FILE = 'training.json';
export const OPTIMISER_FILE = 'optimizer.safetensors';
/** The version of this form. */
export const VERSION = 1;

/** The content of `training.json`. */
export interface TrainingFile extends Progress {
  readonly version: number;
  /** Tokens that each row of the carried state has been fed; null where none is carried. */
  readonly carried: readonly number[] | null;
  /** The config of a model that no family of checkpoints can express; null where `config.json` says it. */
  readonly model: ModelConfig | null;
  /** What the caller saved with it: usually the options of the training. */
  readonly options: unknown;
}

/**
 * The tensors of `optimizer.safetensors`.
 * @param all Whether all parameters are in it, not only those that another file does not give back.
 */
export function savedTensors({ model, optimiser, carried }: Trainer, all: boolean): readonly LazyTensor[] {
  const { backend, parameters } = model;
  const lazy = (name: string, tensor: Tensor): LazyTensor => ({
    ...{ name, shape: tensor.shape, dtype: backend.precision },
    read: () => backend.read(tensor),
  });
  const layers = carried?.layers ?? [];
  return [
    ...parameters
      .filter(({ derived }) => all || derived || backend.precision === 'float64')
      .map(({ name, tensor }) => lazy(`trained.${name}`, tensor)),
    ...[...optimiser.moments].flatMap(([name, { first, second }]) => [
      lazy(`first.${name}`, first),
      lazy(`second.${name}`, second),
    ]),
    ...layers.flatMap((state, layer) =>
      Object.entries(state).map(([slot, tensor]) => lazy(`carried.${layer}.${slot}`, tensor)),
    ),
  ];
}
