/**
 * Where a contender's calls run: in this process, or in one of its own, with another engine or other flags. A run sees no difference, so
 * that contenders of several processes take turns as those of one do. Time is taken where the call is made.
 */
import type { Backend } from '@mamba/core';
import { platform } from '#platform';
import type { BenchCase, CaseOptions, Pause, SuiteName, Values } from '../cases/contract.ts';
import type { FoundBackend } from '../machine/backends.ts';
import { type Meter, openMeter } from '../machine/ceilings.ts';
import { modeOf } from '../machine/modes.ts';
import type { OwnCaseOptions } from '../peers/own.ts';
import type { BackendRecord, Ceiling, MemoryRecord } from '../schema/report.ts';
import { type Contender, timed } from '../timing/sample.ts';

export interface Seat {
  prepare(benchCase: BenchCase, ref: CaseRef, pause: Pause): Promise<SeatedCase>;
  /** Operations or bytes a second that this engine, mode and number of threads can do at this moment, in some milliseconds. */
  limit(bound: Ceiling['bound']): Promise<number>;
  dispose(): Promise<void>;
}

/** How another process finds the same case: by its place in its suite, or made anew for the peers' stage. */
export type CaseRef =
  | { readonly suite: SuiteName; readonly index: number; readonly options: CaseOptions }
  | { readonly own: OwnCaseOptions };

/** A case whose inputs and weights are there. */
export interface SeatedCase {
  actual(): Promise<Values>;
  /** By the id of a measurement; `seconds` of what happened once, in `prepare`. */
  readonly measured: Readonly<Record<string, Contender | { readonly seconds: number }>>;
  readonly stateBytes?: number | undefined;
  memory(): Promise<MemoryRecord>;
  dispose(): Promise<void>;
}

/** Milliseconds of a limit's sample. */
const LIMIT_SAMPLE = 15;

export async function openSeat({ seat, provider }: FoundBackend): Promise<Seat> {
  if (seat !== undefined) return seat();
  if (provider === undefined) throw new Error('the backend does not run here');
  return localSeat(await provider.create());
}

/** In this process. The backend is the seat's, and disposed with it. */
export function localSeat(backend: Backend): Seat {
  const synchronize = (): Promise<void> => backend.synchronize();
  let meter: Promise<Meter> | undefined;
  return {
    async prepare(benchCase, _, pause) {
      const prepared = await benchCase.prepare(backend, pause);
      const measured = Object.entries(prepared.measured).map(
        ([id, how]) => [id, 'run' in how ? timed({ run: how.run, synchronize }) : how] as const,
      );
      return {
        actual: () => prepared.actual(),
        measured: Object.fromEntries(measured),
        stateBytes: prepared.stateBytes,
        async memory() {
          const { bytes, reserved } = backend.memory();
          return { tensors: bytes, reserved, process: platform.residentBytes() };
        },
        dispose: async () => prepared.dispose(),
      };
    },
    async limit(bound) {
      const { details } = backend;
      meter ??= openMeter(
        Number(details.threads ?? 1),
        modeOf({ details: { ...details } as BackendRecord['details'] }),
      );
      return (await meter).rate(bound, LIMIT_SAMPLE);
    },
    async dispose() {
      await meter?.then(
        ({ stop }) => stop(),
        () => {},
      );
      await backend.dispose();
    },
  };
}
