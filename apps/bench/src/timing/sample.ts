/**
 * The sampler: contenders take turns, so that a drift of the machine's speed hits all alike; each goes on until its median is
 * certain enough or its time is spent. A sample awaits the device, and holds as many calls as make it long against the clock.
 */
import type { TimeSummary } from '../schema/report.ts';
import { medianUncertainty, quantile, summarise } from './statistics.ts';

export interface Contender {
  /** Milliseconds of so many calls, one after the other, with the device awaited at their end. */
  time(calls: number): Promise<number>;
  /** Work a second that the machine can do at this moment, where the times are compared with that. Asked after each sample. */
  readonly limit?: (() => Promise<number>) | undefined;
}

/** Calls of this very process. `run` does not wait for the device, `synchronize` waits until all calls are done. */
export function timed(
  { run, synchronize }: { readonly run: () => void; readonly synchronize: () => Promise<void> },
  now: () => number = () => performance.now(),
): Contender {
  return {
    async time(calls) {
      const start = now();
      for (let call = 0; call < calls; call++) run();
      await synchronize();
      return now() - start;
    },
  };
}

export interface SamplerOptions {
  /** Milliseconds for each contender, warm-up included. */
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
      /** The median of what the contender's `limit` gave. */
      readonly limit?: number | undefined;
    }
  | { readonly error: unknown };

/** One outcome for each contender. A contender that throws is out, and the others go on; what `pause` throws is passed on. */
export async function sampleInterleaved(
  contenders: readonly Contender[],
  options: SamplerOptions,
): Promise<SampleOutcome[]> {
  const { budget, minSamples, precision, pause } = options;
  const races = contenders.map((contender) => ({
    contender,
    seconds: [] as number[],
    limits: [] as number[],
    spent: 0,
    calls: 0,
    first: 0,
    error: undefined as { cause: unknown } | undefined,
  }));
  const done = (race: (typeof races)[number]): boolean => {
    if (race.error !== undefined) return true;
    if (race.seconds.length < minSamples) return false;
    return race.spent >= budget || medianUncertainty(race.seconds) <= precision;
  };
  while (races.some((race) => !done(race))) {
    for (const race of races) {
      if (done(race)) continue;
      await pause();
      try {
        if (race.calls === 0) {
          const { calls, first, spent } = await warmUp(race.contender, options);
          race.calls = calls;
          race.first = first / 1000;
          race.spent += spent;
        } else {
          const elapsed = await race.contender.time(race.calls);
          race.seconds.push(elapsed / 1000 / race.calls);
          race.spent += elapsed;
          if (race.contender.limit !== undefined) race.limits.push(await race.contender.limit());
        }
      } catch (cause) {
        race.error = { cause };
      }
    }
  }
  return races.map(({ seconds, limits, calls, first, error }) =>
    error === undefined
      ? {
          time: { ...summarise(seconds, calls), ...(first > 0 && { first }) },
          ...(limits.length > 0 && { limit: quantile(limits, 0.5) }),
        }
      : { error: error.cause },
  );
}

/**
 * Calls, ever more of them together, until a tenth of the budget is spent. Gives the number of calls that fill a sample, and how
 * long the very first one took.
 */
async function warmUp(
  contender: Contender,
  options: SamplerOptions,
): Promise<{ calls: number; first: number; spent: number }> {
  let calls = 1;
  let first: number | undefined;
  let spent = 0;
  for (;;) {
    const elapsed = await contender.time(calls);
    first ??= elapsed;
    spent += elapsed;
    if (elapsed < options.minSample) {
      calls *= 2;
    } else if (spent >= options.budget / 10) {
      return { calls, first, spent };
    }
  }
}
