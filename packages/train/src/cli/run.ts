import { join } from 'node:path';
import { type Checkpoint, createFolder, openCheckpoint, type SpecialTokens } from '@mamba/checkpoint';
import {
  type Backend,
  type BlockConfig,
  invalid,
  isMambaError,
  MambaError,
  type ModelConfig,
  modelConfig,
  modelParameters,
  parameterCount,
  sizeOf,
} from '@mamba/core';
import { defineTimeInvariant } from '../blocks/time-invariant.ts';
import type { BatchSource } from '../data/batches.ts';
import { segmentsInOrder } from '../data/segments.ts';
import { shuffledWindows } from '../data/windows.ts';
import { saveAdapter } from '../lora/peft.ts';
import { initialParameters } from '../model/initialise.ts';
import { TrainableModel } from '../model/trainable.ts';
import { openTraining, type SavedTraining } from '../save/read.ts';
import { RunFolder } from '../save/run-folder.ts';
import { taskBatches } from '../tasks/task.ts';
import { train } from '../trainer/train.ts';
import { Trainer } from '../trainer/trainer.ts';
import { openBackend } from './backends.ts';
import { checkUnchanged, taskOf } from './config.ts';
import { describeMeasured, measureTask, measureText } from './measure.ts';
import type { Config } from './options.ts';
import { type Display, display, remark } from './terminal.ts';
import { openTextData, type TextData } from './text-data.ts';

/** Things to close, the last one first. */
class Closing {
  readonly #closers: (() => void | Promise<void>)[] = [];

  add<T>(value: T, close: (value: T) => void | Promise<void>): T {
    this.#closers.push(() => close(value));
    return value;
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
  }
}

/**
 * Runs a training from its options to its end, or goes on with it.
 * @throws MambaError `aborted` after it was saved, and any error of files, backend and training.
 */
export async function runTraining(config: Config, signal: AbortSignal): Promise<void> {
  const closing = new Closing();
  if (config.mixer === 'time-invariant') defineTimeInvariant();
  try {
    const folder = new RunFolder(config.out, { keep: config.keep });
    const saved = await savedTraining(folder, config, closing);
    await folder.begin(saved?.step ?? 0);
    const init =
      config.init === undefined
        ? undefined
        : closing.add(await openCheckpoint(config.init, { signal }), (it) => it.close());
    const text =
      config.task === 'lm' ? closing.add(await openTextData(config, init, signal), (it) => it.close()) : undefined;
    const backend = closing.add(await openBackend(config.backend, config.precision), (it) => it.dispose());
    const model = closing.add(await modelOf(backend, config, { saved, init, text, signal }), (it) => it.dispose());
    const trainer = closing.add(new Trainer(model, dataOf(config, text), optionsOf(config)), (it) => it.dispose());
    await saved?.restore(trainer);
    const adapters = model.parameters.slice(modelParameters(model.config).length);
    const added = adapters.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    remark(
      `${config.task} on ${backend.name} (${backend.description}): ${parameterCount(model.config)} parameters, ` +
        `${added > 0 ? `${added} of adapters, ` : ''}step ${trainer.step} of ${trainer.steps}, into ${folder.path}`,
    );
    const shown = closing.add(display(trainer.step, trainer.steps), (it) => it.stop());
    await trainAndTell(trainer, { config, folder, text, init, shown, signal });
  } finally {
    await closing.close();
  }
}

interface Run {
  readonly config: Config;
  readonly folder: RunFolder;
  readonly text: TextData | undefined;
  readonly init: Checkpoint | undefined;
  readonly shown: Display;
  readonly signal: AbortSignal;
}

async function trainAndTell(trainer: Trainer, { config, folder, text, init, shown, signal }: Run): Promise<void> {
  const measured = text === undefined || text.heldOut.tokens > 1;
  const specialTokens = specialTokensOf(init, text);
  try {
    await train(trainer, {
      signal,
      onStep(metrics) {
        folder.log(metrics);
        shown.step(metrics);
        if (config.json) shown.print(JSON.stringify(metrics));
      },
      ...(measured && {
        evaluate: {
          every: config.evalEvery,
          async run(step) {
            const found = await measure(trainer, config, text, signal);
            folder.log({ step, ...found });
            shown.print(config.json ? JSON.stringify({ step, ...found }) : describeMeasured(step, found));
          },
        },
      }),
      save: {
        every: config.saveEvery,
        run: () => folder.save(trainer, { files: text?.files, specialTokens, options: config }),
      },
    });
    shown.stop();
    remark(`saved ${folder.pathOf(trainer.step)}`);
    if (config.lora !== undefined) {
      const path = join(config.out, 'adapter');
      await saveAdapter(await createFolder(path, { replace: true }), trainer.model, config.init!);
      remark(`saved ${path}, the adapters alone`);
    }
  } catch (error) {
    shown.stop();
    if (isMambaError(error, 'aborted') && (await folder.steps()).includes(trainer.step))
      remark(`saved ${folder.pathOf(trainer.step)}; --resume goes on from there`);
    throw error;
  }
}

async function measure(trainer: Trainer, config: Config, text: TextData | undefined, signal: AbortSignal) {
  const model = await trainer.model.model();
  try {
    return await (text === undefined ? measureTask(model, config, signal) : measureText(model, text, config, signal));
  } finally {
    model.dispose();
  }
}

/** The last save, where the training is to go on. @throws MambaError `invalid-argument` where it is not. */
async function savedTraining(folder: RunFolder, config: Config, closing: Closing): Promise<SavedTraining | undefined> {
  const last = (await folder.steps()).at(-1);
  if (last === undefined) return undefined;
  if (!config.resume)
    throw new MambaError('invalid-argument', `${folder.path} holds a training already, of ${last} steps`, {
      origin: '--out',
      remedy: 'Go on with it by --resume, or give another --out.',
    });
  const saved = closing.add(await openTraining(folder.pathOf(last)), (it) => it.close());
  checkUnchanged(config, saved.options);
  if (last > config.steps) throw invalid('--steps', String(config.steps), `at least ${last}, which are done already`);
  return saved;
}

interface Origins {
  readonly saved: SavedTraining | undefined;
  readonly init: Checkpoint | undefined;
  readonly text: TextData | undefined;
  readonly signal: AbortSignal;
}

async function modelOf(
  backend: Backend,
  config: Config,
  { saved, init, text, signal }: Origins,
): Promise<TrainableModel> {
  const from = saved ?? init;
  const { lora: rank, loraAlpha: alpha, loraTargets: targets, seed } = config;
  const lora = rank === undefined ? undefined : { rank, alpha, targets, seed };
  if (from !== undefined)
    return TrainableModel.create(backend, from.config, from.source, { exact: saved?.exact, lora, signal });
  const fresh = newModel(config, text);
  return TrainableModel.create(backend, fresh, initialParameters(fresh, { seed }), { signal });
}

function newModel(config: Config, text: TextData | undefined): ModelConfig {
  const { layers, dModel, dState, mixer } = config;
  const { vocabSize } = text ?? taskOf(config);
  // The tasks have so few tokens that a head of its own costs nothing.
  const tiedHead = text !== undefined;
  if (mixer === 'mamba') return modelConfig({ layers, dModel, vocabSize }, { dState, tiedHead });
  const dInner = 2 * dModel;
  const headDim = largestDivisor(dInner, 64);
  const block: BlockConfig =
    mixer === 'mamba2'
      ? { kind: mixer, heads: dInner / headDim, headDim, dState, dConv: 4 }
      : { kind: mixer, dInner, dState, dConv: 4 };
  return modelConfig({ dModel, vocabSize, tiedHead, blocks: new Array(layers).fill(block) });
}

/** The largest divisor of a number that is not above `most`. */
function largestDivisor(of: number, most: number): number {
  let divisor = Math.min(of, most);
  while (of % divisor !== 0) divisor--;
  return divisor;
}

function dataOf(config: Config, text: TextData | undefined): BatchSource {
  const { batch, length, lengths, seed, carry } = config;
  if (text === undefined) return taskBatches(taskOf(config), { batch, lengths: lengths!, seed });
  const windows = { batch, length: length! };
  return carry ? segmentsInOrder(text.train, windows) : shuffledWindows(text.train, { ...windows, seed });
}

function optionsOf(config: Config) {
  const { steps, accumulation, labelSmoothing, checkpointing, lr, schedule, warmup, lastLr, weightDecay, clip } =
    config;
  return {
    ...{ steps, accumulation, labelSmoothing, checkpointing },
    ...{ peak: lr, kind: schedule, warmup, end: lr * lastLr },
    ...{ weightDecay, maxNorm: clip },
  };
}

function specialTokensOf(init: Checkpoint | undefined, text: TextData | undefined): SpecialTokens | undefined {
  if (init !== undefined) return init.specialTokens;
  return text?.end === undefined ? undefined : { bos: undefined, eos: [text.end] };
}
