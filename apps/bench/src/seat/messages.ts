/** What a run asks of a seat in another process, and what that answers. */
import type { ErrorCode } from '@mamba/core';
import type { Values } from '../cases/contract.ts';
import type { BackendRecord, Ceiling, MemoryRecord } from '../schema/report.ts';
import type { CaseRef } from './seat.ts';

export interface Questions {
  /** A backend of this name with these options; asked first. The engine is the process's own. */
  readonly open: [
    { readonly backend: string; readonly label: string; readonly options: readonly object[] },
    { readonly record: BackendRecord; readonly engine: string },
  ];
  /** The limits of its mode, on so many threads. */
  readonly ceilings: [{ readonly threads: number; readonly budget: number }, Ceiling[]];
  /** One case at a time. */
  readonly prepare: [CaseRef, PreparedAnswer];
  readonly actual: [null, Values];
  readonly time: [{ readonly measurement: string; readonly calls: number }, number];
  readonly limit: [Ceiling['bound'], number];
  readonly memory: [null, MemoryRecord];
  readonly free: [null, null];
}

export interface PreparedAnswer {
  /** Ids of what can be timed, and seconds of what was. */
  readonly measured: Readonly<Record<string, number | null>>;
  readonly stateBytes: number | null;
}

export interface Ask<K extends keyof Questions = keyof Questions> {
  readonly id: number;
  readonly type: K;
  readonly body: Questions[K][0];
}

export type Answer = { readonly id: number; readonly body: unknown } | { readonly id: number; readonly error: Failure };

export interface Failure {
  readonly message: string;
  readonly code?: ErrorCode | undefined;
}
