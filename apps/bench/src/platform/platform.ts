import type { Mode } from '../machine/modes.ts';
import type { Machine } from '../schema/report.ts';

/** What a run needs of Node or of a browser; `#platform` is the one that fits. */
export interface Platform {
  /** Lets the event loop take its turn. */
  tick(): Promise<void>;
  /** Asks the engine to free what nothing holds any more, where it lets itself be asked. */
  collectGarbage(): void;
  /** Of the whole process; 0 where unknown. */
  residentBytes(): number;
  /** Bytes that a process can still take without pushing others out; a guess in browsers. */
  availableMemory(): number;
  machineFacts(): Machine;
  /** Has what is compiled from now on revectorised. @throws Error where the engine cannot be told so. */
  revectorize(): void;
  /** A thread that runs src/machine/limit-worker.ts. */
  startLimitWorker(): LimitWorker;
}

export interface LimitWorker {
  ask(request: LimitRequest): Promise<LimitAnswer>;
  stop(): Promise<void>;
}

export interface LimitRequest {
  readonly bound: 'operations' | 'bandwidth';
  readonly mode: Mode;
  /** Milliseconds to go on for. */
  readonly duration: number;
}

export interface LimitAnswer {
  /** Done within `milliseconds`, which is as long as was asked and as its last piece took. */
  readonly work: number;
  readonly milliseconds: number;
}
