/**
 * The sampler. Timers take turns, so that a drift of the machine's speed hits all alike; each goes on until its median
 * is certain enough or its budget is spent. A sample awaits the device, and holds as many calls as make it long against
 * the clock's resolution.
 */
import { platform } from '#platform';
import type { TimeSummary } from '../schema/report.ts';
import { medianUncertainty, quantile, summarise } from './statistics.ts';

/** Times the calls of one candidate. */
export interface Timer {
  /** Milliseconds of so many calls, one after the other, with the device awaited at their end. */
  time(calls: number): Promise<number>;
  /** Work a second that the machine can do at this moment; measured after each sample where it is given. */
  readonly limit?: (() => Promise<number>) | undefined;
}

/**
 * A timer of calls in this process. `run` does not wait for the device, `synchronize` waits until all calls are done.
 */
export function localTimer(
  { run, synchronize }: { readonly run: () => void; readonly synchronize: () => Promise<void> },
  now: () => number = () => performance.now(),
): Timer {
  return {
    async time(calls) {
      const start = now();
      for (let call = 0; call < calls; call++) run();
      await synchronize();
      return now() - start;
    },
  };
}

/**
 * Least milliseconds of a sample: long against the clock's resolution, and against refilling caches after another's
 * turn.
 */
export const MIN_SAMPLE = platform.small ? 1 : 20;

export interface SamplerOptions {
  /** Milliseconds for each timer, warm-up included. */
  readonly budget: number;
  /** Samples to take even where the budget is spent, three or more. */
  readonly minSamples: number;
  /** Relative uncertainty of the median at which sampling stops before the budget is spent. */
  readonly precision: number;
  /** Least milliseconds of a sample. */
  readonly minSample: number;
  /** Awaited before each sample: lets the event loop run; throws to stop. */
  readonly pause: () => Promise<void>;
}

export type SampleOutcome =
  | {
      readonly time: TimeSummary;
      /** The median of the limits that the timer measured. */
      readonly limit?: number | undefined;
    }
  | { readonly error: unknown };

/**
 * One outcome for each timer. A timer that throws is out, and the others go on; an error of `pause` ends the sampling.
 */
export async function sampleInterleaved(timers: readonly Timer[], options: SamplerOptions): Promise<SampleOutcome[]> {
  const { budget, minSamples, precision, pause } = options;
  const series = timers.map((timer) => ({
    timer,
    seconds: [] as number[],
    limits: [] as number[],
    spent: 0,
    calls: 0,
    first: 0,
    error: undefined as { cause: unknown } | undefined,
  }));
  const done = ({ error, seconds, spent }: (typeof series)[number]): boolean => {
    if (error !== undefined) return true;
    if (seconds.length < minSamples) return false;
    return spent >= budget || medianUncertainty(seconds) <= precision;
  };
  while (series.some((one) => !done(one))) {
    for (const one of series) {
      if (done(one)) continue;
      await pause();
      try {
        if (one.calls === 0) {
          const { calls, first, spent } = await warmUp(one.timer, options);
          one.calls = calls;
          one.first = first / 1000;
          one.spent += spent;
        } else {
          const elapsed = await one.timer.time(one.calls);
          one.seconds.push(elapsed / 1000 / one.calls);
          one.spent += elapsed;
          if (one.timer.limit !== undefined) one.limits.push(await one.timer.limit());
        }
      } catch (cause) {
        one.error = { cause };
      }
    }
  }
  return series.map(({ seconds, limits, calls, first, error }) =>
    error === undefined
      ? {
          time: { ...summarise(seconds, calls), ...(first > 0 && { first }) },
          ...(limits.length > 0 && { limit: quantile(limits, 0.5) }),
        }
      : { error: error.cause },
  );
}

/**
 * Makes calls, ever more of them together, until a tenth of the budget is spent. Gives the number of calls that fill a
 * sample, and how long the very first call took.
 */
async function warmUp(timer: Timer, options: SamplerOptions): Promise<{ calls: number; first: number; spent: number }> {
  let calls = 1;
  let first: number | undefined;
  let spent = 0;
  for (;;) {
    const elapsed = await timer.time(calls);
    first ??= elapsed;
    spent += elapsed;
    if (elapsed < options.minSample) {
      calls *= 2;
    } else if (spent >= options.budget / 10) {
      return { calls, first, spent };
    }
  }
}
