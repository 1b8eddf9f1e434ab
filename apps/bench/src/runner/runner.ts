/**
 * A runner executes a backend's calls: in this process, or in another one with its own engine or flags. A run sees no
 * difference, so that backends of several processes take turns as those of one do. Times are taken in the process that
 * makes the call.
 */
import type { Backend } from '@mamba/core';
import { platform } from '#platform';
import type { BenchCase, CaseOptions, Pause, SuiteName, Values } from '../cases/contract.ts';
import type { FoundBackend } from '../machine/backends.ts';
import { type Meter, openMeter } from '../machine/ceilings.ts';
import { modeOf } from '../machine/modes.ts';
import type { OwnCaseOptions } from '../peers/own.ts';
import type { BackendRecord, Ceiling, MemoryRecord } from '../schema/report.ts';
import { localTimer, type Timer } from '../timing/sample.ts';

export interface Runner {
  prepare(benchCase: BenchCase, ref: CaseRef, pause: Pause): Promise<PreparedCase>;
  /**
   * Operations or bytes a second of this engine, mode and number of threads at this moment; takes some milliseconds.
   */
  limit(bound: Ceiling['bound']): Promise<number>;
  dispose(): Promise<void>;
}

/**
 * A reference by which another process finds the same case: its index in a suite, or the options to make it anew for
 * the peers' stage.
 */
export type CaseRef =
  | { readonly suite: SuiteName; readonly index: number; readonly options: CaseOptions }
  | { readonly own: OwnCaseOptions };

/** A case whose inputs and weights the runner holds. */
export interface PreparedCase {
  actual(): Promise<Values>;
  /** A timer for each measurement, by its id; or its `seconds`, where it happened once, in `prepare`. */
  readonly measured: Readonly<Record<string, Timer | { readonly seconds: number }>>;
  readonly stateBytes?: number | undefined;
  memory(): Promise<MemoryRecord>;
  dispose(): Promise<void>;
}

/** Milliseconds of a limit's sample. */
const LIMIT_SAMPLE = 15;

export async function openRunner({ runner, provider }: FoundBackend): Promise<Runner> {
  if (runner !== undefined) return runner();
  if (provider === undefined) throw new Error('the backend does not run here');
  return localRunner(await provider.create());
}

/** A runner in this process. It owns the backend and disposes it. */
export function localRunner(backend: Backend): Runner {
  const synchronize = (): Promise<void> => backend.synchronize();
  let meter: Promise<Meter> | undefined;
  return {
    async prepare(benchCase, _, pause) {
      const prepared = await benchCase.prepare(backend, pause);
      const measured = Object.entries(prepared.measured).map(
        ([id, how]) => [id, 'run' in how ? localTimer({ run: how.run, synchronize }) : how] as const,
      );
      return {
        actual: () => prepared.actual(),
        measured: Object.fromEntries(measured),
        stateBytes: prepared.stateBytes,
        async memory() {
          const peak = prepared.peakBytes && { peak: prepared.peakBytes() };
          await synchronize();
          const { bytes, reserved } = backend.memory();
          return { tensors: bytes, reserved, process: platform.residentBytes(), ...peak };
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
