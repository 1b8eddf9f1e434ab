/** Times beside the machine's limits: of ours alone, on whose hardware, with whose number of threads and in whose mode they were measured. */
import type { Work } from '../cases/work.ts';
import type { FoundBackend } from '../machine/backends.ts';
import { modeOf } from '../machine/modes.ts';
import type { Ceiling, Result } from '../schema/report.ts';
import type { Seat } from '../seat/seat.ts';
import type { Contender } from './sample.ts';

type Runner = Pick<FoundBackend, 'known' | 'record'>;

/** The share of the limit that a measurement reached: the least time that its operations or its bytes take, whichever is more, over the time it took. */
export function applyCeiling(
  work: Work | undefined,
  seconds: number,
  runner: Runner,
  ceilings: readonly Ceiling[],
): Pick<Result, 'ceiling'> {
  const binding = bindingCeiling(work, runner, ceilings);
  if (work === undefined || binding === undefined) return {};
  return { ceiling: shareOf(binding, work, seconds, binding.perSecond) };
}

/** A contender that measures the limit that binds it again after each sample: other work slows both, and their ratio stays. */
export function besideItsLimit(
  contender: Contender,
  seat: Pick<Seat, 'limit'>,
  work: Work | undefined,
  runner: Runner,
  ceilings: readonly Ceiling[],
): Contender {
  const binding = bindingCeiling(work, runner, ceilings);
  if (binding === undefined) return contender;
  return { time: (calls) => contender.time(calls), limit: () => seat.limit(binding.bound) };
}

/** As `applyCeiling`, with the limit that was measured between the samples. */
export function applyLimit(
  work: Work | undefined,
  seconds: number,
  perSecond: number | undefined,
  runner: Runner,
  ceilings: readonly Ceiling[],
): Pick<Result, 'ceiling'> {
  const binding = bindingCeiling(work, runner, ceilings);
  if (work === undefined || perSecond === undefined || binding === undefined) return {};
  return { ceiling: { ...shareOf(binding, work, seconds, perSecond), inTurns: true } };
}

function shareOf({ id, bound }: Ceiling, work: Work, seconds: number, perSecond: number) {
  const least = work[bound === 'operations' ? 'operations' : 'bytes'] / perSecond;
  return { id, seconds: least, share: least / seconds };
}

/** The limit that leaves the most time. */
function bindingCeiling(
  work: Work | undefined,
  { known, record }: Runner,
  ceilings: readonly Ceiling[],
): Ceiling | undefined {
  if (work === undefined || !known.onProcessor || record.slow !== undefined) return undefined;
  const threads = record.details?.threads ?? 1;
  const own = ceilings.filter((ceiling) => ceiling.threads === threads && (ceiling.mode ?? 'plain') === modeOf(record));
  const least = (ceiling: Ceiling): number => shareOf(ceiling, work, 1, ceiling.perSecond).seconds;
  return own.toSorted((a, b) => least(b) - least(a))[0];
}
