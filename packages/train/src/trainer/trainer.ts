import { invalid, MambaError, type Tensor } from '@mamba/core';
import { checkInteger, yieldToEventLoop } from '@mamba/core/toolkit';
import type { BatchSource, DataState, TrainingBatch } from '../data/batches.ts';
import type { CarriedState } from '../model/loss.ts';
import type { TrainableModel } from '../model/trainable.ts';
import { Optimiser } from '../optimiser/optimiser.ts';
import { type Accumulated, accumulateGradients } from './accumulate.ts';
import { CapturedSteps, type Step } from './captured-steps.ts';
import { divergence } from './divergence.ts';
import { type ResolvedOptions, resolveOptions, type TrainerOptions } from './options.ts';

/** What a step came to. All but the speed repeats bit for bit. */
export interface StepMetrics {
  /** The number of the step, from 1. */
  readonly step: number;
  /** Tokens that were fed so far, this step's included. */
  readonly tokens: number;
  /** Mean loss of the step's targets, in nats, before its update. */
  readonly loss: number;
  /** Norm of the gradients before clipping. */
  readonly norm: number;
  /** The learning rate of this step. */
  readonly learningRate: number;
  /** Measured: the mean since this run began. */
  readonly tokensPerSecond: number;
}

/** When a run ends, and who is told of its steps. */
export interface RunOptions {
  /** The step to stop after. Default: the last one. */
  readonly until?: number | undefined;
  /** Stops after the step that runs. Timers and input run between steps, so that they can abort it. */
  readonly signal?: AbortSignal | undefined;
  /** Called for each step, in order. */
  readonly onStep?: ((metrics: StepMetrics) => void) | undefined;
}

/** The progress of a training as plain data, beside its parameters, moments and carried state. */
export interface Progress {
  /** Number of steps done. */
  readonly step: number;
  /** Number of tokens that were fed in all steps. */
  readonly tokens: number;
  /** The place in the data. */
  readonly data: DataState;
}

/** A step whose results were not read yet. */
interface Pending extends Pick<Accumulated, 'losses'> {
  readonly step: number;
  readonly tokens: number;
  readonly learningRate: number;
  readonly norm: Tensor;
  /** The norm, and the mean loss of each batch. They are read before the next step overwrites what is captured. */
  readonly values: Promise<readonly [norm: number, losses: readonly number[]]>;
  /** For computing the step again. */
  readonly batches: readonly TrainingBatch[];
  readonly before: CarriedState | undefined;
}

/**
 * Trains a model step by step. A step is read from its end on, while the forward and backward pass of the next one goes
 * to the device, so that the device does not wait; its update follows only when the step before proved finite.
 */
export class Trainer {
  readonly model: TrainableModel;
  readonly data: BatchSource;
  readonly optimiser: Optimiser;
  readonly #options: ResolvedOptions;
  readonly #captured: CapturedSteps | undefined;
  #step = 0;
  #tokens = 0;
  #carried: CarriedState | undefined;
  #failure: unknown;

  /** The model stays the caller's. @throws MambaError `invalid-argument`, `out-of-memory` */
  constructor(model: TrainableModel, data: BatchSource, options: TrainerOptions) {
    this.#options = resolveOptions(options);
    this.model = model;
    this.data = data;
    this.optimiser = new Optimiser(model.backend, model.parameters, this.#options.optimiser);
    if (this.#options.capture) this.#captured = new CapturedSteps(model, this.optimiser, this.#options);
  }

  /** Number of steps of the whole training. */
  get steps(): number {
    return this.#options.steps;
  }

  /** Number of steps that are done. */
  get step(): number {
    return this.#step;
  }

  /** The state that the next batch continues, if the data carries one. It belongs to the trainer. */
  get carried(): CarriedState | undefined {
    return this.#carried;
  }

  /**
   * Trains up to a step. All results of the steps were read, and handed to `onStep`, when it settles.
   * @throws MambaError `aborted` between two steps, after which the training can go on or be saved; `not-finite` where
   * a loss or gradient is, which names the step and the tensor: the update of this step and those after it are not
   * made. After any error but `aborted`, the training goes on from a save alone.
   */
  async run({ until = this.steps, signal, onStep }: RunOptions = {}): Promise<void> {
    checkInteger('trainer.run.until', until, 0, this.steps);
    if (this.#failure !== undefined) throw this.#failure;
    let pending: Pending | undefined;
    const [start, first] = [performance.now(), this.#tokens];
    const finish = async (step: Pending): Promise<void> => {
      const results = await this.#read(step);
      const seconds = (performance.now() - start) / 1000;
      onStep?.({ ...results, tokensPerSecond: (results.tokens - first) / seconds });
    };
    try {
      while (this.#step < until && !signal?.aborted) {
        const batches = await this.#batches();
        const before = this.#carried;
        const submitted = this.#start(batches, before);
        const previous = pending;
        pending = undefined;
        try {
          if (previous !== undefined) await finish(previous);
          pending = this.#update(submitted, batches, before);
        } catch (error) {
          disposeAccumulated(submitted);
          submitted.state?.dispose();
          throw error;
        }
        await yieldToEventLoop();
      }
      const previous = pending;
      pending = undefined;
      if (previous !== undefined) await finish(previous);
    } catch (error) {
      if (pending !== undefined) this.#drop(pending);
      this.#failure = error;
      throw error;
    } finally {
      this.#captured?.trim();
    }
    if (this.#step < until)
      throw new MambaError('aborted', 'training was aborted', { origin: `step ${this.#step}`, cause: signal?.reason });
  }

  /** What to save beside the tensors. @throws the error of a run that failed. */
  progress(): Progress {
    if (this.#failure !== undefined) throw this.#failure;
    return { step: this.#step, tokens: this.#tokens, data: this.data.state() };
  }

  /**
   * Goes on where another training was saved; its parameters and moments are restored by their owners.
   * @param carried It belongs to the trainer then.
   * @throws MambaError `invalid-argument` where the progress is that of other data, or beyond the last step.
   */
  restore({ step, tokens, data }: Progress, carried: CarriedState | undefined): void {
    if (step > this.steps)
      throw invalid('trainer.steps', String(this.steps), `at least ${step}, the steps that are done already`);
    this.data.restore(data);
    this.#step = step;
    this.#tokens = tokens;
    this.optimiser.step = step;
    this.#carried?.dispose();
    this.#carried = carried;
  }

  /** Frees the moments and the carried state. The model stays. */
  dispose(): void {
    this.#captured?.dispose();
    this.optimiser.dispose();
    this.#carried?.dispose();
    this.#carried = undefined;
  }

  async #batches(): Promise<readonly TrainingBatch[]> {
    const batches: TrainingBatch[] = [];
    while (batches.length < this.#options.accumulation) batches.push(await this.data.next());
    return batches;
  }

  /** Computes the gradients of a step: by a capture where there is one, or else call by call. */
  #start(batches: readonly TrainingBatch[], before: CarriedState | undefined): Step {
    const captured = this.data.carries ? undefined : this.#captured?.start(batches);
    if (captured !== undefined) return captured;
    const accumulated = this.#accumulate(batches, before);
    return {
      ...accumulated,
      update: (learningRate) => this.optimiser.update(accumulated.gradients, learningRate),
    };
  }

  #accumulate(batches: readonly TrainingBatch[], state: CarriedState | undefined): Accumulated {
    const { labelSmoothing, checkpointing } = this.#options;
    const carries = this.data.carries ?? false;
    return accumulateGradients(this.model, batches, { labelSmoothing, checkpointing, state, carries });
  }

  #update(submitted: Step, batches: readonly TrainingBatch[], before: CarriedState | undefined): Pending {
    const { losses, gradients, state } = submitted;
    const learningRate = this.#options.learningRate(this.#step);
    const norm = submitted.update(learningRate);
    const values = this.#values(norm, losses);
    // Whoever waits for the step gets its failure.
    values.catch(() => {});
    for (const gradient of gradients.values()) gradient.dispose();
    this.#carried = state;
    this.#step++;
    this.#tokens += tokensOf(batches);
    return { losses, batches, before, learningRate, norm, values, step: this.#step, tokens: this.#tokens };
  }

  async #values(norm: Tensor, losses: Accumulated['losses']): Promise<readonly [number, readonly number[]]> {
    const [norms, means] = await Promise.all([
      this.model.backend.read(norm),
      Promise.all(losses.map((part) => part.mean())),
    ]);
    return [norms[0]!, means];
  }

  /** Waits for a step. @throws MambaError `not-finite` */
  async #read(pending: Pending): Promise<Omit<StepMetrics, 'tokensPerSecond'>> {
    const { step, tokens, learningRate, batches, before } = pending;
    try {
      const [norm, parts] = await pending.values;
      const loss = parts.reduce((sum, part) => sum + part, 0);
      if (Number.isFinite(loss) && Number.isFinite(norm)) return { step, tokens, loss, norm, learningRate };
      const again = this.#accumulate(batches, before);
      again.state?.dispose();
      throw await divergence({ step, loss, norm }, again, (tensor) => this.model.backend.read(tensor));
    } finally {
      this.#drop(pending);
    }
  }

  /** Frees what was kept for a step. */
  #drop({ losses, norm, before }: Pending): void {
    for (const part of losses) part.dispose();
    norm.dispose();
    before?.dispose();
  }
}

function tokensOf(batches: readonly TrainingBatch[]): number {
  return batches.reduce((sum, { batch, length }) => sum + batch * length, 0);
}

function disposeAccumulated({ losses, gradients }: Accumulated): void {
  for (const part of losses) part.dispose();
  for (const gradient of gradients.values()) gradient.dispose();
}
