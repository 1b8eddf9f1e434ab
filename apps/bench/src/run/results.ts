/** Forms a report's entries: results of cases that were or were not timed, slopes, shares of limits, settings. */
import type { BenchCase, MeasurementSpec, Suite } from '../cases/contract.ts';
import type { FoundBackend } from '../machine/backends.ts';
import type { Ceiling, CheckRecord, Report, Result, Settings } from '../schema/report.ts';
import { applyCeiling } from '../timing/limit.ts';
import { logLogSlope } from '../timing/statistics.ts';
import type { RunOptions } from './options.ts';

/** The fields that identify a result. */
export function headingOf(benchCase: BenchCase, spec: MeasurementSpec, { record }: FoundBackend) {
  return {
    suite: benchCase.suite,
    case: spec.id,
    backend: record.name,
    dtype: benchCase.weights ?? record.dtype ?? 'float32',
    shape: { ...spec.shape },
    ...(record.slow !== undefined && { slow: record.slow }),
  };
}

/** The results of a case that is not timed, one for each of its measurements. */
export function refusalOf(
  benchCase: BenchCase,
  found: FoundBackend,
  status: Result['status'],
  reason: string,
  check?: CheckRecord,
): Result[] {
  return benchCase.measurements.map((spec) => ({
    ...headingOf(benchCase, spec, found),
    status,
    reason,
    ...(check && { check }),
  }));
}

/**
 * The slopes for each backend and set of results that differ in the swept extent alone: of time, and of the memory of a
 * call where it is known.
 */
export function slopesOf({ name, sweep }: Suite, results: readonly Result[]): Report['slopes'] {
  if (sweep === undefined) return [];
  const groups = new Map<string, Result[]>();
  for (const result of results) {
    if (result.suite !== name || result.time === undefined) continue;
    const { [sweep]: _, ...others } = result.shape;
    const key = JSON.stringify([result.backend, result.dtype, others]);
    groups.set(key, [...(groups.get(key) ?? []), result]);
  }
  return [...groups.values()].flatMap((group) => {
    if (group.length < 2) return [];
    const { backend, shape } = group[0]!;
    const { [sweep]: _, ...others } = shape;
    const slopeOf = (quantity: (result: Result) => number): number =>
      logLogSlope(group.map((result) => ({ x: result.shape[sweep]!, y: quantity(result) })));
    const common = { suite: name, backend, over: sweep, points: group.length, shape: others };
    const time = { ...common, slope: slopeOf((result) => result.time!.median) };
    // A runner whose process has ended tells no memory.
    if (group.some(({ memory }) => !memory?.peak)) return [time];
    return [time, { ...common, of: 'memory' as const, slope: slopeOf((result) => result.memory!.peak!) }];
  });
}

/** Adds the share of the run's best limit to a result of our backends that was not timed beside its limit. */
export function withShare(result: Result, backends: readonly FoundBackend[], ceilings: readonly Ceiling[]): Result {
  const found = backends.find(({ record }) => record.name === result.backend);
  if (found === undefined || result.time === undefined || result.ceiling !== undefined) return result;
  return { ...result, ...applyCeiling(result.work, result.time.median, found, ceilings) };
}

export function settingsOf({ suites, stages = [], effort, shapes = {}, backends }: RunOptions): Settings {
  const { models, dtypes, ...extents } = shapes;
  const given = Object.entries(extents).filter(([, values]) => values !== undefined && values.length > 0);
  const threads = backends.flatMap(({ record }) =>
    record.name.includes('@') ? [Number(record.details?.threads)] : [],
  );
  return {
    suites: [...suites.map(({ name }) => name), ...stages.map(({ suite }) => suite)],
    effort,
    ...(given.length > 0 && { shapes: Object.fromEntries(given.map(([name, values]) => [name, [...(values ?? [])]])) }),
    ...(models !== undefined && models.length > 0 && { models: [...models] }),
    ...(dtypes !== undefined && dtypes.length > 0 && { dtypes: [...dtypes] }),
    ...(threads.length > 0 && { threads }),
  };
}
