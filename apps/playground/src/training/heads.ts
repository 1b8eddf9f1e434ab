import type { Accuracy } from '@mamba/train';
import type { Caller } from '../worker/caller.ts';
import type { Calls, HeadsEvent, HeadsInfo, HeadsOptions } from './worker/protocol.ts';
import { startWorker } from './worker/start-worker.ts';

export type HeadsPhase = 'none' | 'starting' | 'running' | 'pausing' | 'paused' | 'done' | 'failed';

/** How often the model was right at each length, after a step. */
export interface HeadsAccuracy {
  readonly step: number;
  readonly results: readonly Accuracy[];
}

/** The loss of an answer that is guessed, in nats: any of 15 tokens, since the 16th is the special one. */
export const GUESSED_LOSS = Math.log(15);
/** Steps of the mean that is shown as the loss, since the steps of different lengths differ. */
export const MEAN_STEPS = 9;
/** Lengths that can be trained. */
export const LENGTHS: readonly number[] = [8, 16, 32, 64, 128, 256];

/** A training that takes seconds and learns the task. */
export const PROPOSED = { lengths: [8, 16, 32], steps: 200, batch: 16, learningRate: 0.005, seed: 1 } as const;

/** Lengths to test at: those that are trained, twice the longest, and eight times the longest. */
export function testLengths(trained: readonly number[]): readonly number[] {
  const longest = Math.max(...trained);
  return [...trained, 2 * longest, 8 * longest];
}

/** A training of the induction heads as the page knows it. It calls `changed` after every change. */
export class Heads {
  phase: HeadsPhase = 'none';
  /** Those of the training that is shown; undefined where there is none. */
  options: HeadsOptions | undefined;
  info: HeadsInfo | undefined;
  /** The loss of each step. */
  losses: readonly number[] = [];
  accuracies: readonly HeadsAccuracy[] = [];
  tokensPerSecond: number | undefined;
  secondsLeft: number | undefined;
  readonly #changed: () => void;
  #worker: Caller<Calls> | undefined;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Whether it computes now. */
  get active(): boolean {
    return ['starting', 'running', 'pausing'].includes(this.phase);
  }

  /** Settles where the training is paused, done or reset. @throws the error that it failed with. */
  async start(options: HeadsOptions): Promise<void> {
    this.reset();
    this.options = options;
    await this.#compute('starting', async (worker) => {
      this.info = await worker.call('createHeads', options);
    });
  }

  /** Goes on after a pause. Settles as `start` does. */
  async continue(): Promise<void> {
    await this.#compute('running');
  }

  pause(): void {
    if (this.phase !== 'running') return;
    this.#enter('pausing');
    // A failure of the worker is told by the run, which ends with it.
    this.#worker?.call('pauseHeads', undefined).catch(() => {});
  }

  /** Ends the worker, and forgets the training. */
  reset(): void {
    this.#release();
    this.options = undefined;
    this.info = undefined;
    this.losses = [];
    this.accuracies = [];
    this.tokensPerSecond = undefined;
    this.secondsLeft = undefined;
    this.#enter('none');
  }

  async #compute(phase: HeadsPhase, prepare?: (worker: Caller<Calls>) => Promise<void>): Promise<void> {
    this.#worker ??= startWorker();
    const worker = this.#worker;
    this.#enter(phase);
    try {
      await prepare?.(worker);
      if (this.#worker !== worker) return;
      this.#enter('running');
      const outcome = await worker.call('runHeads', undefined, { onEvent: (event) => this.#note(event) });
      if (this.#worker !== worker) return;
      if (outcome === 'done') this.#release();
      this.#enter(outcome);
    } catch (error) {
      // A reset ends the worker, so what waited for it was rejected.
      if (this.#worker !== worker) return;
      this.#release();
      this.#enter('failed');
      throw error;
    }
  }

  #note(event: HeadsEvent): void {
    if (event.kind === 'accuracy') {
      this.accuracies = [...this.accuracies, event];
    } else {
      this.losses = [...this.losses, event.loss];
      this.tokensPerSecond = event.tokensPerSecond;
      this.secondsLeft = event.secondsLeft;
    }
    this.#changed();
  }

  #enter(phase: HeadsPhase): void {
    this.phase = phase;
    this.#changed();
  }

  #release(): void {
    this.#worker?.end();
    this.#worker = undefined;
  }
}
