/** Compares two runs: the ratio of each measurement, and whether it is beyond the spread of both. */
import type { Report, Result } from '../schema/report.ts';
import { keyOf, machineKey, sameVersions, versionsOf } from './key.ts';

export interface Comparison {
  readonly rows: readonly ComparedRow[];
  /** Geometric means of the ratios, by suite and backend. */
  readonly summaries: readonly Summary[];
  /** Keys of measurements that only one of the runs has. */
  readonly onlyFirst: readonly string[];
  readonly onlySecond: readonly string[];
  /** Measurements of the first run that failed or disagreed in the second. */
  readonly broken: readonly Result[];
  /** Differences between the two experiments. */
  readonly warnings: readonly string[];
}

export interface ComparedRow {
  readonly first: Result;
  readonly second: Result;
  /** The second's median time over the first's: 1.1 is 10 % slower. */
  readonly ratio: number;
  /** The ratio where each moves by its spread against the other: p10 over p90, and p90 over p10. */
  readonly low: number;
  readonly high: number;
  /** `slower` or `faster` only where the two spreads do not overlap. */
  readonly verdict: 'slower' | 'faster' | 'same';
  /** The second's memory at its most over the first's, where both tell. It has no spread. */
  readonly memory?: number | undefined;
}

export interface Summary {
  readonly suite: string;
  readonly backend: string;
  readonly ratio: number;
  readonly count: number;
}

export function compareReports(first: Report, second: Report): Comparison {
  const before = measured(first);
  const after = measured(second);
  const rows = [...before].flatMap(([key, result]): ComparedRow[] => {
    const other = after.get(key);
    return other === undefined ? [] : [compareResults(result, other)];
  });
  const broken = second.results.filter(
    (result) => (result.status === 'failed' || result.status === 'disagrees') && before.has(keyOf(result)),
  );
  const brokenKeys = new Set(broken.map(keyOf));
  return {
    rows,
    summaries: summarise(rows),
    onlyFirst: [...before.keys()].filter((key) => !after.has(key) && !brokenKeys.has(key)),
    onlySecond: [...after.keys()].filter((key) => !before.has(key)),
    broken,
    warnings: warningsOf(first, second),
  };
}

/** Rows that count as a regression: slower by more than this share, beyond their spread, or larger in memory. */
export function regressions({ rows }: Comparison, share: number): ComparedRow[] {
  return rows.filter(
    ({ verdict, ratio, memory = 1 }) => (verdict === 'slower' && ratio > 1 + share) || memory > 1 + share,
  );
}

function compareResults(first: Result, second: Result): ComparedRow {
  const [a, b] = [first.time!, second.time!];
  const low = b.p10 / a.p90;
  const high = b.p90 / a.p10;
  // One sample has no spread that could tell it from another.
  const certain = a.n > 1 && b.n > 1;
  const verdict = certain && low > 1 ? 'slower' : certain && high < 1 ? 'faster' : 'same';
  const [before, after] = [first.memory?.peak, second.memory?.peak];
  const memory = before && after ? { memory: after / before } : {};
  return { first, second, ratio: b.median / a.median, low, high, verdict, ...memory };
}

function measured({ results }: Report): Map<string, Result> {
  return new Map(results.filter(({ time }) => time !== undefined).map((result) => [keyOf(result), result]));
}

function summarise(rows: readonly ComparedRow[]): Summary[] {
  const groups = new Map<string, ComparedRow[]>();
  for (const row of rows) {
    const key = `${row.first.suite} ${row.first.backend}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()].map((group) => ({
    suite: group[0]!.first.suite,
    backend: group[0]!.first.backend,
    ratio: Math.exp(group.reduce((sum, { ratio }) => sum + Math.log(ratio), 0) / group.length),
    count: group.length,
  }));
}

function warningsOf(first: Report, second: Report): string[] {
  const warnings: string[] = [];
  if (machineKey(first) !== machineKey(second)) warnings.push('the two runs are of different machines or engines');
  if (first.settings.effort !== second.settings.effort)
    warnings.push(`the first run is ${first.settings.effort}, the second ${second.settings.effort}`);
  if (!sameVersions(first, second)) warnings.push(`versions: ${versionsOf(first)} and ${versionsOf(second)}`);
  for (const [which, { machine, interrupted }] of [
    ['first', first],
    ['second', second],
  ] as const) {
    if (machine.load > 0.5 * machine.cores) warnings.push(`other work ran on the machine as the ${which} run began`);
    if (interrupted) warnings.push(`the ${which} run was stopped early`);
  }
  return warnings;
}
