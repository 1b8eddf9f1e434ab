import type { Mode } from '../machine/modes.ts';
import type { Machine } from '../schema/report.ts';

/** The functions of Node or of a browser that a run needs; `#platform` is the implementation that fits. */
export interface Platform {
  /** Lets the event loop take its turn. */
  tick(): Promise<void>;
  /** Collects garbage, where the engine has a function for it. */
  collectGarbage(): void;
  /** Resident bytes of the whole process; 0 where unknown. */
  residentBytes(): number;
  /** Bytes that the process can still take without swapping; a guess in browsers. */
  availableMemory(): number;
  machineFacts(): Machine;
  /**
   * Turns revectorisation on for modules that are compiled from now on.
   * @throws Error where the engine has no such flag.
   */
  revectorize(): void;
  /** Whether measurements are as short as possible and mean nothing, as in tests of the code around them. */
  readonly small: boolean;
  /** Starts a thread that runs src/machine/limit-worker.ts. */
  startLimitWorker(): LimitWorker;
}

export interface LimitWorker {
  ask(request: LimitRequest): Promise<LimitAnswer>;
  stop(): Promise<void>;
}

export interface LimitRequest {
  readonly bound: 'operations' | 'bandwidth';
  readonly mode: Mode;
  /** Least milliseconds of the work. */
  readonly duration: number;
}

export interface LimitAnswer {
  /** The work that was done within `milliseconds`: the duration, and the rest of the last piece. */
  readonly work: number;
  readonly milliseconds: number;
}
