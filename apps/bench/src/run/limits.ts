/** Measures the machine's limits for a run: for each mode and number of threads of its backends on the processor. */
import type { Pause } from '../cases/contract.ts';
import type { FoundBackend } from '../machine/backends.ts';
import { measureCeilings } from '../machine/ceilings.ts';
import { type Mode, modeOf } from '../machine/modes.ts';
import type { Ceiling } from '../schema/report.ts';

/**
 * Measures the limits of these backends and keeps the best of each in `ceilings`. A run calls it before and after its
 * measurements, since other work on the machine may hide a limit for a while.
 */
export async function measureLimits(
  ceilings: Ceiling[],
  backends: readonly FoundBackend[],
  { budget, pause }: { readonly budget: number; readonly pause: Pause },
): Promise<void> {
  for (const measure of metersOf(backends, budget, pause)) {
    await pause();
    for (const ceiling of await measure()) {
      const known = ceilings.findIndex(({ id }) => id === ceiling.id);
      if (known < 0) ceilings.push(ceiling);
      else if (ceilings[known]!.perSecond < ceiling.perSecond) ceilings[known] = ceiling;
    }
  }
  for (const [index, ceiling] of ceilings.entries()) ceilings[index] = noLessThanFewerThreads(ceiling, ceilings);
}

/** One measurement for each mode and number of threads, in the engine that has the mode. */
function metersOf(backends: readonly FoundBackend[], budget: number, pause: Pause): (() => Promise<Ceiling[]>)[] {
  const meters = new Map<string, () => Promise<Ceiling[]>>();
  const local = (mode: Mode, threads: number) => () => measureCeilings({ budget, pause, threads, mode });
  const ready = backends.filter(({ known, record }) => known.onProcessor && record.status === 'ready' && !record.slow);
  for (const { record, ceilings } of ready) {
    const mode = modeOf(record);
    const threads = typeof record.details?.threads === 'number' ? record.details.threads : 1;
    const key = `${mode} ${threads}`;
    if (ceilings !== undefined) meters.set(key, meters.get(key) ?? (() => ceilings(budget)));
    // The limit of one thread as well, which tells what more threads gain.
    else for (const count of [1, threads]) meters.set(`${mode} ${count}`, local(mode, count));
  }
  return meters.size > 0 ? [...meters.values()] : [local('plain', 1)];
}

/** Threads can do no less together than one can alone: a lower rate means that other work took the processors. */
function noLessThanFewerThreads(ceiling: Ceiling, ceilings: readonly Ceiling[]): Ceiling {
  const others = ceilings.filter(
    ({ bound, threads, mode }) => bound === ceiling.bound && mode === ceiling.mode && threads < ceiling.threads,
  );
  return { ...ceiling, perSecond: Math.max(ceiling.perSecond, ...others.map(({ perSecond }) => perSecond)) };
}
