/** A comparison of systems that a page runs in a worker of its own. */
import type { VersusReport } from '../../src/schema/versus.ts';
import type { VersusRequest } from '../../src/versus/request.ts';
import { hearWorker } from '../start-worker.ts';
import type { FromWorker, ToWorker } from './messages.ts';

export interface ComparisonListeners {
  /** What is done now, and the share of all that is done, from 0 to 1; undefined before it is known. */
  progress(doing: string, share: number | undefined): void;
  /** What there is so far. */
  partial(report: VersusReport): void;
  /**
   * It is over, or was stopped, or it failed with this message. The report holds what was measured; undefined where
   * nothing was.
   */
  end(report: VersusReport | undefined, failure: string | undefined): void;
}

export class Comparison {
  readonly #worker: Worker;
  readonly #listeners: ComparisonListeners;
  #report: VersusReport | undefined;
  #parts: number | undefined;
  #done = 0;
  #doing = '';
  #stopping = false;
  #ended = false;

  constructor(backend: string, request: VersusRequest, listeners: ComparisonListeners) {
    this.#listeners = listeners;
    this.#worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
    hearWorker<FromWorker>(this.#worker, {
      hear: (notice) => this.#hear(notice),
      fail: (message) => this.#end(this.#interrupted, message),
    });
    this.#tell({ type: 'run', backend, request });
  }

  /** Whether it was asked to stop, which it does after the sample that is taken now. */
  get stopping(): boolean {
    return this.#stopping;
  }

  /** Asks it to stop. Where that was asked before, the worker is in a long call, and is ended with what it has told. */
  stop(): void {
    if (this.#stopping) {
      this.#end(this.#interrupted, undefined);
      return;
    }
    this.#stopping = true;
    this.#tell({ type: 'stop' });
    this.#progress('stopping after this sample');
  }

  #hear(notice: FromWorker): void {
    if (notice.type === 'begin') {
      [this.#parts, this.#done] = [notice.parts, 0];
    } else if (notice.type === 'step') {
      if (!this.#stopping) this.#progress(notice.label);
    } else if (notice.type === 'advance') {
      this.#done += notice.parts;
      this.#progress(undefined);
    } else if (notice.type === 'partial') {
      this.#report = notice.report;
      this.#listeners.partial(notice.report);
    } else if (notice.type === 'done') {
      this.#end(notice.report, undefined);
    } else {
      this.#end(this.#interrupted, notice.message);
    }
  }

  #progress(doing: string | undefined): void {
    this.#doing = doing ?? this.#doing;
    const share = this.#parts && Math.min(this.#done / this.#parts, 1);
    this.#listeners.progress(this.#doing, share);
  }

  get #interrupted(): VersusReport | undefined {
    return this.#report && { ...this.#report, interrupted: true };
  }

  #end(report: VersusReport | undefined, failure: string | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#worker.terminate();
    this.#listeners.end(report, failure);
  }

  #tell(message: ToWorker): void {
    this.#worker.postMessage(message);
  }
}
