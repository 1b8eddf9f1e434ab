import type { Comparison, VersusReport, VersusRequest } from '@mamba/bench/versus';
import { errorWords } from '../error-words.ts';
import { REMEDIES } from './section.ts';

/** One block of Mamba and one of attention, about as large, of the shipped model's width. */
const REQUEST: VersusRequest = {
  systems: ['mamba', 'attention'],
  dModel: 192,
  batch: 1,
  lengths: [64, 256, 1024, 4096],
  measures: ['step'],
  seconds: 5,
};
export const BACKEND = 'cpu';

/** `?quick` in the page's address takes lengths that are done in a second, as a look at the page. */
function requestOf(): VersusRequest {
  const quick = new URLSearchParams(location.search).has('quick');
  return quick ? { ...REQUEST, dModel: 16, lengths: [16, 32, 64] } : REQUEST;
}

export type RacePhase = 'none' | 'running' | 'stopping' | 'done' | 'stopped' | 'failed';

/** The time that a token takes, by Mamba and by attention, measured here. */
export class Race {
  phase: RacePhase = 'none';
  report: VersusReport | undefined;
  error: string | undefined;
  /** What is measured now, and the share of all that is done. */
  doing = '';
  share: number | undefined;
  readonly #changed: () => void;
  #comparison: Comparison | undefined;
  #stopped = false;

  /** @param changed Called after every change. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get running(): boolean {
    return this.phase === 'running' || this.phase === 'stopping';
  }

  async start(): Promise<void> {
    if (this.running) return;
    this.phase = 'running';
    this.#stopped = false;
    this.error = undefined;
    this.report = undefined;
    this.doing = 'loading what measures';
    this.share = undefined;
    this.#changed();
    try {
      const bench = await import('@mamba/bench/versus');
      if (this.#stopped) {
        this.#end(undefined, undefined);
        return;
      }
      this.#comparison = new bench.Comparison(BACKEND, requestOf(), {
        progress: (doing, share) => {
          this.doing = doing;
          this.share = share;
          this.#changed();
        },
        partial: (report) => {
          this.report = report;
          this.#changed();
        },
        end: (report, failure) => this.#end(report, failure),
      });
    } catch (error) {
      this.#end(undefined, errorWords(error, REMEDIES));
    }
  }

  /** Ends the measurement after its present sample, and at the second call at once. What was measured stays. */
  stop(): void {
    this.phase = 'stopping';
    this.#stopped = true;
    this.#comparison?.stop();
    this.#changed();
  }

  dismissError(): void {
    this.error = undefined;
    this.#changed();
  }

  #end(report: VersusReport | undefined, failure: string | undefined): void {
    this.#comparison = undefined;
    this.report = report ?? this.report;
    this.error = failure && `Nothing more can be measured: ${failure}. Load the page again, and measure again.`;
    this.phase = failure !== undefined ? 'failed' : report?.interrupted === false ? 'done' : 'stopped';
    this.#changed();
  }
}
