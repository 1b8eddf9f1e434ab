import type { Work } from '../cases/work.ts';
import type { FoundBackend } from '../machine/backends.ts';
import { modeOf } from '../machine/modes.ts';
import type { Ceiling, Result } from '../schema/report.ts';

/**
 * The share of the machine's limit that a measurement reached: the least time that its operations or its bytes take, whichever is
 * more, over the time it took. Only for backends on whose hardware, with whose number of threads
 * and in whose mode the limits were measured.
 */
export function applyCeiling(
  work: Work | undefined,
  seconds: number,
  { known, record }: Pick<FoundBackend, 'known' | 'record'>,
  ceilings: readonly Ceiling[],
): Pick<Result, 'ceiling'> {
  if (work === undefined || !known.onProcessor || record.slow !== undefined) return {};
  const threads = record.details?.threads ?? 1;
  const limits = ceilings
    .filter((ceiling) => ceiling.threads === threads && (ceiling.mode ?? 'plain') === modeOf(record))
    .map(({ id, bound, perSecond }) => ({
      id,
      seconds: (bound === 'operations' ? work.operations : work.bytes) / perSecond,
    }));
  const [first, ...others] = limits;
  if (first === undefined) return {};
  const binding = others.reduce((most, limit) => (limit.seconds > most.seconds ? limit : most), first);
  return { ceiling: { ...binding, share: binding.seconds / seconds } };
}
