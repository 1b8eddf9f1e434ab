/**
 * Measures the machine's limits, in the run that is compared with them: multiplications and additions a second, bytes
 * read a second. The limits are those of WebAssembly SIMD with as many threads as the compared backend has, so that the
 * share of a limit tells how good a kernel is, not how good WebAssembly is.
 */
import { platform } from '#platform';
import type { LimitRequest } from '../platform/platform.ts';
import type { Ceiling } from '../schema/report.ts';
import { limitKernels, workFor } from './limit-kernels.ts';
import type { Mode } from './modes.ts';

export interface CeilingOptions {
  /** Milliseconds for each of the two limits. */
  readonly budget: number;
  /** Called between samples; throws to stop. */
  readonly pause: () => Promise<void>;
  /** Default 1. */
  readonly threads?: number | undefined;
  /** Default plain. */
  readonly mode?: Mode | undefined;
}

/** @throws Error where the engine has no WebAssembly SIMD, or not that of the mode. */
export async function measureCeilings({
  budget,
  pause,
  threads = 1,
  mode = 'plain',
}: CeilingOptions): Promise<Ceiling[]> {
  const { rate, bytes, stop } = await openMeter(threads, mode);
  // A sample of one thread is a call of some milliseconds; several threads need longer to overlap.
  const duration = threads === 1 ? 0 : budget / 5;
  const sample = async (bound: LimitRequest['bound']): Promise<number> => {
    await pause();
    return rate(bound, duration);
  };
  try {
    const operations = await best(budget, () => sample('operations'));
    const bandwidth = await best(budget, () => sample('bandwidth'));
    const suffix = threads === 1 ? '' : `-${threads}-threads`;
    const each = threads === 1 ? '' : `, ${threads} threads at once`;
    return [
      {
        id: `wasm-${MODE_IDS[mode]}-operations${suffix}`,
        bound: 'operations',
        perSecond: operations,
        threads,
        mode,
        how: `WebAssembly ${OPERATIONS[mode]}, in registers${each}, best sample`,
      },
      {
        id: `wasm-${MODE_IDS[mode]}-bandwidth${suffix}`,
        bound: 'bandwidth',
        perSecond: bandwidth,
        threads,
        mode,
        how: `WebAssembly v128 loads over ${bytes / 2 ** 20} MiB, eight independent sums${each}, best sample`,
      },
    ];
  } finally {
    await stop();
  }
}

const MODE_IDS: Readonly<Record<Mode, string>> = { plain: 'simd', relaxed: 'relaxed', revectorized: 'revectorized' };
const OPERATIONS: Readonly<Record<Mode, string>> = {
  plain: 'f32x4 multiply and f32x4 add, six independent chains of each',
  relaxed: 'f32x4 fused multiply-add, ten independent chains',
  revectorized: 'fused multiply-add of 256 bits, paired by V8, ten independent chains',
};

export interface Meter {
  /** Work a second of one sample, of so many milliseconds or a little more. */
  rate(bound: LimitRequest['bound'], duration: number): Promise<number>;
  /** The size of the buffer that is read. */
  readonly bytes: number;
  stop(): Promise<void>;
}

/** Opens a meter of this machine's limits. @throws Error where the engine has no WebAssembly SIMD of this mode. */
export function openMeter(threads: number, mode: Mode): Promise<Meter> {
  return threads === 1 ? alone(mode) : together(threads, mode);
}

async function alone(mode: Mode): Promise<Meter> {
  const kernels = await limitKernels(mode);
  return {
    async rate(bound, duration) {
      const { work, milliseconds } = workFor(kernels, bound, duration);
      return (work / milliseconds) * 1000;
    },
    bytes: kernels.bytes,
    async stop() {},
  };
}

/** A meter of several threads, each with a memory of its own. They start together and run for the same time. */
async function together(threads: number, mode: Mode): Promise<Meter> {
  const workers = Array.from({ length: threads }, () => platform.startLimitWorker());
  const stop = async (): Promise<void> => void (await Promise.all(workers.map((worker) => worker.stop())));
  const ask = (bound: LimitRequest['bound'], duration: number) =>
    Promise.all(workers.map((worker) => worker.ask({ bound, duration, mode })));
  try {
    // The first call compiles the kernels and touches the memory.
    await ask('bandwidth', 0);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    async rate(bound, duration) {
      const answers = await ask(bound, duration);
      return answers.reduce((sum, { work, milliseconds }) => sum + (work / milliseconds) * 1000, 0);
    },
    bytes: 256 * 2 ** 20,
    stop,
  };
}

/** The highest rate of the samples within the budget, five at least: a limit is what was reached once. */
async function best(budget: number, sample: () => Promise<number>): Promise<number> {
  let rate = 0;
  const start = performance.now();
  for (let count = 0; count < 5 || performance.now() - start < budget; count++) rate = Math.max(rate, await sample());
  return rate;
}
