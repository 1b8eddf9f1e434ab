/** The protocol between a run and a runner in another process: methods with their arguments and results. */
import type { ErrorCode } from '@mamba/core';
import type { Values } from '../cases/contract.ts';
import type { BackendRecord, Ceiling, MemoryRecord } from '../schema/report.ts';
import type { CaseRef } from './runner.ts';

/** Argument and result of each method. */
export interface RunnerMethods {
  /** Opens a backend of this name with these options; called first. The engine is that of the runner's process. */
  readonly open: [
    { readonly backend: string; readonly label: string; readonly options: readonly object[] },
    { readonly record: BackendRecord; readonly engine: string },
  ];
  /** Measures the limits of the backend's mode, on so many threads. */
  readonly ceilings: [{ readonly threads: number; readonly budget: number }, Ceiling[]];
  /** Prepares a case; the one before it is disposed. */
  readonly prepare: [CaseRef, PrepareResult];
  readonly actual: [null, Values];
  readonly time: [{ readonly measurement: string; readonly calls: number }, number];
  readonly limit: [Ceiling['bound'], number];
  readonly memory: [null, MemoryRecord];
  readonly free: [null, null];
}

export interface PrepareResult {
  /** Null for a measurement that can be timed, or the seconds of one that happened in `prepare`; by id. */
  readonly measured: Readonly<Record<string, number | null>>;
  readonly stateBytes: number | null;
}

export interface RunnerRequest<K extends keyof RunnerMethods = keyof RunnerMethods> {
  readonly id: number;
  readonly type: K;
  readonly body: RunnerMethods[K][0];
}

export type RunnerResponse =
  | { readonly id: number; readonly body: unknown }
  | { readonly id: number; readonly error: Failure };

export interface Failure {
  readonly message: string;
  readonly code?: ErrorCode | undefined;
}
