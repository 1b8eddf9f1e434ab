/**
 * The sampler: contenders take turns, so that a drift of the machine's speed hits all alike; each goes on until its median is
 * certain enough or its time is spent. A sample awaits the device, and holds as many calls as make it long against the clock.
 */
import type { TimeSummary } from '../schema/report.ts';
import { medianUncertainty, summarise } from './statistics.ts';

export interface Contender {
  /** One call. It does not wait for the device. */
  run(): void;
  /** Waits until all calls are done. */
  synchronize(): Promise<void>;
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
  /** Milliseconds, monotonous. */
  readonly now?: () => number;
}

export type SampleOutcome = { readonly time: TimeSummary } | { readonly error: unknown };

/** One outcome for each contender. A contender that throws is out, and the others go on; what `pause` throws is passed on. */
export async function sampleInterleaved(
  contenders: readonly Contender[],
  options: SamplerOptions,
): Promise<SampleOutcome[]> {
  const { budget, minSamples, precision, pause, now = () => performance.now() } = options;
  const races = contenders.map((contender) => ({
    contender,
    seconds: [] as number[],
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
        const start = now();
        if (race.calls === 0) {
          const { calls, first } = await warmUp(race.contender, options, now);
          race.calls = calls;
          race.first = first / 1000;
        } else {
          race.seconds.push((await timeCalls(race.contender, race.calls, now)) / 1000 / race.calls);
        }
        race.spent += now() - start;
      } catch (cause) {
        race.error = { cause };
      }
    }
  }
  return races.map(({ seconds, calls, first, error }) =>
    error === undefined
      ? { time: { ...summarise(seconds, calls), ...(first > 0 && { first }) } }
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
  now: () => number,
): Promise<{ calls: number; first: number }> {
  const start = now();
  let calls = 1;
  let first: number | undefined;
  for (;;) {
    const elapsed = await timeCalls(contender, calls, now);
    first ??= elapsed;
    if (elapsed < options.minSample) {
      calls *= 2;
    } else if (now() - start >= options.budget / 10) {
      return { calls, first };
    }
  }
}

async function timeCalls({ run, synchronize }: Contender, calls: number, now: () => number): Promise<number> {
  const start = now();
  for (let call = 0; call < calls; call++) run();
  await synchronize();
  return now() - start;
}
