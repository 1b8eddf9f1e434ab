/** Relates times to the machine's limits, for our backends on the processor: by their mode and number of threads. */
import type { Work } from '../cases/work.ts';
import type { FoundBackend } from '../machine/backends.ts';
import { modeOf } from '../machine/modes.ts';
import type { Runner } from '../runner/runner.ts';
import type { Ceiling, Result } from '../schema/report.ts';
import type { Timer } from './sample.ts';

type Measured = Pick<FoundBackend, 'known' | 'record'>;

/**
 * The share of its limit that a measurement reached: the least time that its operations or its bytes take, whichever is
 * more, over the time that it took.
 */
export function applyCeiling(
  work: Work | undefined,
  seconds: number,
  measured: Measured,
  ceilings: readonly Ceiling[],
): Pick<Result, 'ceiling'> {
  const binding = bindingCeiling(work, measured, ceilings);
  if (work === undefined || binding === undefined) return {};
  return { ceiling: shareOf(binding, work, seconds, binding.perSecond) };
}

/** A timer that measures its binding limit again after each sample: other work slows both, and their ratio stays. */
export function besideItsLimit(
  timer: Timer,
  runner: Pick<Runner, 'limit'>,
  work: Work | undefined,
  measured: Measured,
  ceilings: readonly Ceiling[],
): Timer {
  const binding = bindingCeiling(work, measured, ceilings);
  if (binding === undefined) return timer;
  return { time: (calls) => timer.time(calls), limit: () => runner.limit(binding.bound) };
}

/** `applyCeiling` with the limit that was measured between the samples. */
export function applyLimit(
  work: Work | undefined,
  seconds: number,
  perSecond: number | undefined,
  measured: Measured,
  ceilings: readonly Ceiling[],
): Pick<Result, 'ceiling'> {
  const binding = bindingCeiling(work, measured, ceilings);
  if (work === undefined || perSecond === undefined || binding === undefined) return {};
  return { ceiling: { ...shareOf(binding, work, seconds, perSecond), inTurns: true } };
}

function shareOf({ id, bound }: Ceiling, work: Work, seconds: number, perSecond: number) {
  const least = work[bound === 'operations' ? 'operations' : 'bytes'] / perSecond;
  return { id, seconds: least, share: least / seconds };
}

/** The limit under which this work takes longest. */
function bindingCeiling(
  work: Work | undefined,
  { known, record }: Measured,
  ceilings: readonly Ceiling[],
): Ceiling | undefined {
  if (work === undefined || !known.onProcessor || record.slow !== undefined) return undefined;
  const threads = record.details?.threads ?? 1;
  const own = ceilings.filter((ceiling) => ceiling.threads === threads && (ceiling.mode ?? 'plain') === modeOf(record));
  const least = (ceiling: Ceiling): number => shareOf(ceiling, work, 1, ceiling.perSecond).seconds;
  return own.toSorted((a, b) => least(b) - least(a))[0];
}
