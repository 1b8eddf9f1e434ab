import { bytesSource, checkpointStore, memorySink, openCheckpoint, writeSafetensorsModel } from '@mamba/checkpoint';
import { type Backend, invalid, parameterCount, sizeOf } from '@mamba/core';
import { type LanguageModel, loadModel } from '@mamba/lm';
import {
  binaryTokens,
  Corpus,
  evaluateLoss,
  shuffledWindows,
  TrainableModel,
  Trainer,
  windowsInOrder,
} from '@mamba/train';
import { createBackend } from '../../worker/backends.ts';
import { FileCache } from './file-cache.ts';
import type { FineTuneEvent, FineTuneOptions, TextMeasured, WriteOptions } from './protocol.ts';
import { timeLeft } from './time-left.ts';

const WEIGHTS = 'model.safetensors';
const RANK = 8;
/** Windows of a step, and tokens of a window. */
const BATCH = 4;
const LENGTH = 64;
/** Share of the text that is held out, and the fewest tokens that leave enough for windows and for the loss. */
const HELD_OUT = 0.2;
const FEWEST = 2 * LENGTH;

type Emit = (event: FineTuneEvent) => void;

/** A language model that was fine-tuned by adapters (LoRA, arXiv 2106.09685), which are merged. */
export class FineTuned {
  /** What it makes of the text that it was tuned on. */
  readonly measured: TextMeasured;
  readonly #lm: LanguageModel;
  readonly #bytes: Uint8Array;

  private constructor(lm: LanguageModel, bytes: Uint8Array, measured: TextMeasured) {
    this.#lm = lm;
    this.#bytes = bytes;
    this.measured = measured;
  }

  /**
   * @throws MambaError `invalid-argument` for a text that is too short, `not-finite` where the training diverges,
   * `unavailable` where the backend does not run here, `invalid-file` and `io` where the model cannot be loaded.
   */
  static async train(options: FineTuneOptions, emit: Emit): Promise<FineTuned> {
    const backend = await createBackend(options.backend);
    const files = new FileCache(checkpointStore(options.model));
    const base = await loadModel(backend, files);
    const text = corpusOf(base.encode(options.text));
    const measured = await measure(base, text.heldOut, options.sample);
    base.dispose();
    const model = await trainable(backend, files);
    try {
      const trained = model.parameters.reduce((sum, { shape, trained }) => sum + (trained ? sizeOf(shape) : 0), 0);
      emit({ kind: 'before', measured, trained, parameters: parameterCount(model.config) });
      await tune(model, text.train, options, emit);
      const sink = memorySink(WEIGHTS);
      await writeSafetensorsModel({ config: model.config, source: model.source(), type: 'F32', sink });
      files.replace(WEIGHTS, sink.bytes());
      // What is saved is what writes.
      const lm = await loadModel(backend, files);
      return new FineTuned(lm, sink.bytes(), await measure(lm, text.heldOut, options.sample));
    } finally {
      model.dispose();
    }
  }

  async write(options: WriteOptions, emit: (piece: string) => void): Promise<undefined> {
    for await (const { text } of this.#lm.generate(options)) emit(text);
    return undefined;
  }

  /** A copy of the file of the merged model. */
  bytes(): Uint8Array {
    return this.#bytes.slice();
  }
}

function corpusOf(ids: readonly number[]): ReturnType<Corpus['split']> {
  if (ids.length < FEWEST)
    throw invalid('the text', `${ids.length} tokens`, `at least ${FEWEST}`, 'Add more text of the same kind.');
  const bytes = new Uint8Array(Uint32Array.from(ids).buffer);
  return Corpus.of([binaryTokens(bytesSource(bytes, 'the text'), 'uint32')]).split(HELD_OUT);
}

async function trainable(backend: Backend, files: FileCache): Promise<TrainableModel> {
  const checkpoint = await openCheckpoint(files);
  try {
    return await TrainableModel.create(backend, checkpoint.config, checkpoint.source, { lora: { rank: RANK } });
  } finally {
    await checkpoint.close();
  }
}

async function tune(model: TrainableModel, text: Corpus, options: FineTuneOptions, emit: Emit): Promise<void> {
  const { steps, learningRate: peak } = options;
  const data = shuffledWindows(text, { batch: BATCH, length: LENGTH, seed: options.sample.seed });
  const trainer = new Trainer(model, data, { steps, peak, warmup: Math.floor(steps / 10) });
  try {
    const secondsLeft = timeLeft(0, steps);
    await trainer.run({
      onStep: ({ step, loss }) => emit({ kind: 'step', step, loss, secondsLeft: secondsLeft(step) }),
    });
  } finally {
    trainer.dispose();
  }
}

async function measure(lm: LanguageModel, heldOut: Corpus, sample: WriteOptions): Promise<TextMeasured> {
  const held = await evaluateLoss(lm.model, windowsInOrder(heldOut, { batch: BATCH, length: LENGTH }));
  let text = '';
  for await (const piece of lm.generate(sample)) text += piece.text;
  return { ...held, sample: text };
}
