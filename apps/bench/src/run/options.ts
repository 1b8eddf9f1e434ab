/** The options of a run: suites and backends to measure, stages that measure in their own way, and an observer. */
import { platform } from '#platform';
import type { Effort, Pause, ShapeChoice, Suite, SuiteName } from '../cases/contract.ts';
import type { FoundBackend } from '../machine/backends.ts';
import type { BackendRecord, Ceiling, Report, Result } from '../schema/report.ts';

export interface RunOptions {
  readonly suites: readonly Suite[];
  readonly backends: readonly FoundBackend[];
  readonly effort: Effort;
  readonly shapes?: ShapeChoice | undefined;
  /** Shapes and candidates of single suites, in place of the run's. */
  readonly choices?: Readonly<Partial<Record<SuiteName, SuiteChoice>>> | undefined;
  /** Stages that run after the suites. */
  readonly stages?: readonly Stage[] | undefined;
  /** Stops the run after the current sample. */
  readonly signal?: AbortSignal | undefined;
  readonly observer?: Observer | undefined;
}

export interface SuiteChoice {
  readonly shapes?: ShapeChoice | undefined;
  /** Whether a backend takes part. Default: all do. */
  readonly takes?: ((candidate: FoundBackend) => boolean) | undefined;
}

/** A part of a run that measures in its own way: other projects' software. */
export interface Stage {
  readonly suite: SuiteName;
  /** A rough estimate of its duration. */
  readonly seconds: number;
  run(context: StageContext): Promise<void>;
}

export interface StageContext {
  /** The run's results; the stage adds its own. */
  readonly results: Result[];
  /** The limits that the run measured before. */
  readonly ceilings: readonly Ceiling[];
  /** The records of the stage's own candidates; the stage adds them. */
  readonly backends: BackendRecord[];
  readonly pause: Pause;
  /** Milliseconds for each measurement. */
  readonly budget: number;
  readonly observer: Observer;
}

/** Receives a run's progress. */
export interface Observer {
  /** The limits are measured; `seconds` is a rough estimate of what follows. */
  begin?(ceilings: readonly Ceiling[], seconds: number): void;
  /** Names the current step: `scan/length-512 · cpu: checking`. */
  step?(label: string): void;
  /** A part is done that was estimated at so many seconds. */
  advance?(seconds: number): void;
  /** A suite is done; `report` holds what was measured so far. */
  suite?(name: SuiteName, report: Report): void;
}

/** Milliseconds for each measurement of a candidate; a limit gets a third. */
export const BUDGET: Readonly<Record<Effort, number>> = platform.small
  ? { quick: 20, standard: 20, thorough: 20 }
  : { quick: 100, standard: 1500, thorough: 4000 };
