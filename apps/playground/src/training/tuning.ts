import type { Caller } from '../worker/caller.ts';
import type { Calls, FineTuneEvent, FineTuneOptions, TextMeasured, WriteOptions } from './worker/protocol.ts';
import { startWorker } from './worker/start-worker.ts';

export type TuningPhase = 'none' | 'measuring' | 'tuning' | 'tuned' | 'writing' | 'failed';

/** A fine-tuning as the page knows it, and the model that it gave. It calls `changed` after every change. */
export class Tuning {
  phase: TuningPhase = 'none';
  /** Those of the fine-tuning that is shown; undefined where there is none. */
  options: FineTuneOptions | undefined;
  before: Extract<FineTuneEvent, { kind: 'before' }> | undefined;
  after: TextMeasured | undefined;
  /** The loss of each step. */
  losses: readonly number[] = [];
  secondsLeft: number | undefined;
  /** What the tuned model wrote when it was last asked, with the prompt. */
  written: { readonly prompt: string; readonly text: string } | undefined;
  readonly #changed: () => void;
  #worker: Caller<Calls> | undefined;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Whether it computes now. */
  get active(): boolean {
    return ['measuring', 'tuning', 'writing'].includes(this.phase);
  }

  /** Settles where the model is tuned, or the tuning was reset. @throws the error that it failed with. */
  async start(options: FineTuneOptions): Promise<void> {
    this.reset();
    this.options = options;
    await this.#compute('measuring', async (worker) => {
      this.after = await worker.call('fineTune', options, { onEvent: (event) => this.#note(event) });
    });
  }

  /** Continues a prompt with the tuned model. @throws the error of the worker. */
  async write(options: WriteOptions): Promise<void> {
    this.written = { prompt: options.prompt, text: '' };
    await this.#compute('writing', async (worker) => {
      await worker.call('write', options, {
        onEvent: (piece) => {
          this.written = { prompt: options.prompt, text: this.written!.text + piece };
          this.#changed();
        },
      });
    });
  }

  /** The tuned model as a file. @throws the error of the worker. */
  save(): Promise<Uint8Array> {
    return this.#worker!.call('save', undefined);
  }

  /** Ends the worker, and forgets the tuned model. */
  reset(): void {
    this.#release();
    this.options = undefined;
    this.before = undefined;
    this.after = undefined;
    this.losses = [];
    this.secondsLeft = undefined;
    this.written = undefined;
    this.#enter('none');
  }

  async #compute(phase: TuningPhase, act: (worker: Caller<Calls>) => Promise<void>): Promise<void> {
    this.#worker ??= startWorker();
    const worker = this.#worker;
    this.#enter(phase);
    try {
      await act(worker);
      if (this.#worker === worker) this.#enter('tuned');
    } catch (error) {
      // A reset ends the worker, so what waited for it was rejected.
      if (this.#worker !== worker) return;
      // A tuned model stays where a text of it failed.
      if (this.after === undefined) this.#release();
      this.#enter(this.after === undefined ? 'failed' : 'tuned');
      throw error;
    }
  }

  #note(event: FineTuneEvent): void {
    if (event.kind === 'before') {
      this.before = event;
      this.phase = 'tuning';
    } else {
      this.losses = [...this.losses, event.loss];
      this.secondsLeft = event.secondsLeft;
    }
    this.#changed();
  }

  #enter(phase: TuningPhase): void {
    this.phase = phase;
    this.#changed();
  }

  #release(): void {
    this.#worker?.end();
    this.#worker = undefined;
  }
}
