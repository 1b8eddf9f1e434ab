import {
  type Checkpoint,
  type CheckpointLocation,
  checkpointStore,
  openCheckpoint,
  openSafetensors,
  readJson,
  type SafetensorsFile,
} from '@mamba/checkpoint';
import { type HostTensor, MambaError, type ModelConfig, type ParameterSource, type Tensor } from '@mamba/core';
import { resolveModelConfig } from '@mamba/core/driver';
import { CarriedState } from '../model/loss.ts';
import type { Trainer } from '../trainer/trainer.ts';
import { OPTIMISER_FILE, TRAINING_FILE, type TrainingFile, VERSION } from './contents.ts';

/** A training that was saved. */
export interface SavedTraining {
  /** The model, of which a `TrainableModel` is made, or with `createModel` one that is not trained. */
  readonly config: ModelConfig;
  readonly source: ParameterSource;
  /** Number of steps that were done. */
  readonly step: number;
  /** What the caller saved with it. */
  readonly options: unknown;
  /** The trained values of a parameter, for `TrainableModel.create`. */
  exact(name: string): Promise<HostTensor | undefined>;
  /**
   * Restores moments, place in the data and carried state of a trainer, whose model was made of the checkpoint.
   * @throws MambaError `invalid-argument` where its data is another, `invalid-file` where the save does not fit it.
   */
  restore(trainer: Trainer): Promise<void>;
  /** Closes the checkpoint of the save. */
  close(): Promise<void>;
}

/**
 * Opens what `saveTraining` saved.
 *
 * @example
 * const saved = await openTraining('run/step-000100');
 * const model = await TrainableModel.create(backend, saved.config, saved.source, { exact: saved.exact });
 * const trainer = new Trainer(model, data, options);
 * await saved.restore(trainer);
 * await saved.close();
 * @throws MambaError `invalid-file` where there is no such save or it is damaged, and what `openCheckpoint` throws.
 */
export async function openTraining(location: CheckpointLocation): Promise<SavedTraining> {
  const store = checkpointStore(location);
  const training = checkTraining(`${store.name}: ${TRAINING_FILE}`, await readJson(store, TRAINING_FILE));
  const file = await store.open(OPTIMISER_FILE);
  if (file === undefined) throw damaged(`${store.name}: ${OPTIMISER_FILE}`, 'no such file', 'that of a saved training');
  const tensors = await openSafetensors(file);
  try {
    const model = training.model === null ? await openCheckpoint(store) : ownModel(tensors, training.model);
    return {
      ...{ config: model.config, source: model.source, step: training.step, options: training.options },
      exact: async (parameter) =>
        tensors.tensors.has(`trained.${parameter}`) ? tensors.read(`trained.${parameter}`) : undefined,
      async restore(trainer) {
        const { step, tokens, data } = training;
        await trainer.optimiser.restore(async (parameter) => {
          const [first, second] = [`first.${parameter}`, `second.${parameter}`];
          for (const moment of [first, second])
            if (!tensors.tensors.has(moment))
              throw damaged(tensors.name, `no tensor ${moment}`, 'the moments of every trained parameter');
          return { first: await tensors.read(first), second: await tensors.read(second) };
        }, step);
        const carried = await carriedState(trainer, tensors, training);
        try {
          trainer.restore({ step, tokens, data }, carried);
        } catch (error) {
          carried?.dispose();
          throw error;
        }
      },
      async close() {
        await tensors.close();
        await model.close();
      },
    };
  } catch (error) {
    await tensors.close();
    throw error;
  }
}

/** The model of a save that holds it by its trained values alone. */
function ownModel(file: SafetensorsFile, given: ModelConfig): Pick<Checkpoint, 'config' | 'source' | 'close'> {
  return {
    config: resolveModelConfig(`${file.name}: model`, given),
    async source({ name, training }) {
      const host = await file.read(`trained.${name}`);
      if (training?.form === undefined) return host;
      const data = Float64Array.from(host.data, (value) => -Math.exp(value));
      return { dtype: 'float64', shape: host.shape, data };
    },
    async close() {},
  };
}

function checkTraining(origin: string, json: unknown): TrainingFile {
  if (json === undefined) throw damaged(origin, 'no such file', 'that of a saved training');
  const { version, step, tokens, data } = (json ?? {}) as Partial<TrainingFile>;
  if (version !== VERSION) throw damaged(origin, `version ${String(version)}`, `version ${VERSION}`);
  const counts = [step, tokens].every((count) => Number.isSafeInteger(count) && count! >= 0);
  if (!counts || typeof data !== 'object' || data === null)
    throw damaged(origin, 'no progress', 'step, tokens and data');
  return json as TrainingFile;
}

async function carriedState(
  { model: { backend, config } }: Trainer,
  file: SafetensorsFile,
  { carried }: TrainingFile,
): Promise<CarriedState | undefined> {
  if (carried === null) return undefined;
  const layers = config.blocks.map((): Record<string, Tensor> => ({}));
  const state = new CarriedState(layers, carried);
  try {
    for (const name of file.tensors.keys()) {
      const [, layer, slot] = /^carried\.(\d+)\.(.+)$/.exec(name) ?? [];
      if (layer !== undefined) layers[Number(layer)]![slot!] = backend.upload(await file.read(name));
    }
    return state;
  } catch (error) {
    state.dispose();
    throw error;
  }
}

function damaged(origin: string, given: string, expected: string): MambaError {
  return new MambaError('invalid-file', `${origin} cannot be used`, { origin, given, expected });
}
