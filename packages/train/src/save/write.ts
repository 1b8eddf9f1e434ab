import { type FolderSink, modelConfigJson, type SpecialTokens, writeSafetensorsModel } from '@mamba/checkpoint';
import { isMambaError, type ModelConfig } from '@mamba/core';
import type { Trainer } from '../trainer/trainer.ts';
import { OPTIMISER_FILE, savedTensors, TRAINING_FILE, type TrainingFile, VERSION } from './contents.ts';
import { writeTensors } from './tensors.ts';

/** What is saved beside the model and the progress. */
export interface SaveOptions {
  /** Files that are saved beside the model as they are, such as those of a tokenizer. */
  readonly files?: ReadonlyMap<string, string | Uint8Array> | undefined;
  readonly specialTokens?: SpecialTokens | undefined;
  /** Plain data that `openTraining` returns: the options of the training. */
  readonly options?: unknown;
}

/**
 * Saves a training between two steps as a folder: a model in the layout of Hugging Face, which transformers loads, and
 * beside it all that `openTraining` needs to go on bit for bit. The folder appears when it is complete. A model with
 * blocks that no family of checkpoints has is saved for `openTraining` alone.
 * @throws MambaError `io`, and any error of the backend. The folder is given up then.
 */
export async function saveTraining(
  folder: FolderSink,
  trainer: Trainer,
  { files = new Map(), specialTokens = { bos: undefined, eos: [] }, options = null }: SaveOptions = {},
): Promise<void> {
  try {
    const { config } = trainer.model;
    const described = describe(config, specialTokens);
    const training: TrainingFile = {
      version: VERSION,
      ...trainer.progress(),
      model: described === undefined ? config : null,
      carried: trainer.carried?.positions ?? null,
      options,
    };
    if (described !== undefined) {
      await writeText(folder, 'config.json', json(described));
      const sink = await folder.createFile('model.safetensors');
      await writeSafetensorsModel({ config, source: trainer.model.source(), type: 'F32', sink });
    }
    for (const [name, content] of files) await writeText(folder, name, content);
    await writeOptimiser(folder, trainer, described === undefined);
    await writeText(folder, TRAINING_FILE, json(training));
    await folder.close();
  } catch (error) {
    await folder.abort();
    throw error;
  }
}

/** The content of `config.json`; undefined where no family of checkpoints can express the model. */
function describe(config: ModelConfig, specialTokens: SpecialTokens): object | undefined {
  try {
    return modelConfigJson(config, specialTokens);
  } catch (error) {
    if (isMambaError(error, 'unsupported')) return undefined;
    throw error;
  }
}

async function writeOptimiser(folder: FolderSink, trainer: Trainer, all: boolean): Promise<void> {
  const sink = await folder.createFile(OPTIMISER_FILE);
  try {
    await writeTensors(sink, savedTensors(trainer, all));
    await sink.close();
  } catch (error) {
    await sink.abort();
    throw error;
  }
}

/** Writes a file of a folder. */
export async function writeText(folder: FolderSink, name: string, content: string | Uint8Array): Promise<void> {
  const sink = await folder.createFile(name);
  try {
    await sink.write(typeof content === 'string' ? new TextEncoder().encode(content) : content);
    await sink.close();
  } catch (error) {
    await sink.abort();
    throw error;
  }
}

function json(content: unknown): string {
  return `${JSON.stringify(content, null, 2)}\n`;
}
