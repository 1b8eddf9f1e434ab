import { type Backend, isMambaError, modelConfig, parameterCount } from '@mamba/core';
import {
  accuracy,
  inductionHeads,
  initialParameters,
  type Task,
  TrainableModel,
  Trainer,
  taskBatches,
  train,
} from '@mamba/train';
import { createBackend } from '../../worker/backends.ts';
import type { HeadsEvent, HeadsInfo, HeadsOptions } from './protocol.ts';
import { timeLeft } from './time-left.ts';

/** Steps between two measurements of the accuracy. */
const MEASURE_EVERY = 20;
/** Steps up to the largest learning rate, where there are enough of them. */
const WARMUP = 20;

type Emit = (event: HeadsEvent) => void;

/** Trains a model of 2 layers and width 64 on induction heads (arXiv 2312.00752, section 4.1.2). */
export class HeadsTrainer {
  readonly info: HeadsInfo;
  readonly #trainer: Trainer;
  readonly #task: Task;
  readonly #options: HeadsOptions;
  #aborter = new AbortController();
  /** The step whose accuracy was measured last. */
  #measured = -1;

  private constructor(backend: Backend, model: TrainableModel, task: Task, options: HeadsOptions) {
    const { batch, lengths, seed, steps, learningRate } = options;
    this.info = { backend: backend.description, parameters: parameterCount(model.config) };
    this.#options = options;
    this.#task = task;
    this.#trainer = new Trainer(model, taskBatches(task, { batch, lengths, seed }), {
      ...{ steps, peak: learningRate, weightDecay: 0 },
      warmup: Math.min(WARMUP, Math.floor(steps / 10)),
    });
  }

  /** @throws MambaError `unavailable` where the backend does not run here, `invalid-argument` */
  static async create(options: HeadsOptions): Promise<HeadsTrainer> {
    const backend = await createBackend(options.backend);
    const task = inductionHeads();
    const config = modelConfig({ layers: 2, dModel: 64, vocabSize: task.vocabSize }, { tiedHead: false });
    const model = await TrainableModel.create(backend, config, initialParameters(config, { seed: options.seed }));
    return new HeadsTrainer(backend, model, task, options);
  }

  /**
   * Trains to the last step, or until it is paused, and measures the accuracy before the first step and at intervals.
   * @throws MambaError `not-finite` where it diverges, and the errors of the backend.
   */
  async run(emit: Emit): Promise<'paused' | 'done'> {
    this.#aborter = new AbortController();
    const { signal } = this.#aborter;
    const trainer = this.#trainer;
    const { step: first, steps } = trainer;
    const secondsLeft = timeLeft(first, steps);
    try {
      // A pause may have ended the measurement of this step.
      if (this.#measured < first && (first % MEASURE_EVERY === 0 || first === steps)) await this.#measure(signal, emit);
      await train(trainer, {
        signal,
        onStep: ({ step, loss, tokensPerSecond }) =>
          emit({ kind: 'step', step, loss, tokensPerSecond, secondsLeft: secondsLeft(step) }),
        evaluate: { every: MEASURE_EVERY, run: () => this.#measure(signal, emit) },
      });
      return 'done';
    } catch (error) {
      if (isMambaError(error, 'aborted')) return 'paused';
      throw error;
    }
  }

  /** Ends the run after its present step. */
  pause(): void {
    this.#aborter.abort();
  }

  async #measure(signal: AbortSignal, emit: Emit): Promise<void> {
    const { step } = this.#trainer;
    const { testLengths: lengths, seed } = this.#options;
    const model = await this.#trainer.model.model();
    try {
      const results = await accuracy(model, this.#task, { lengths, seed: seed + 1, signal });
      this.#measured = step;
      emit({ kind: 'accuracy', step, results });
    } finally {
      model.dispose();
    }
  }
}
