/** Merges many machines' reports into one set. Every decision leaves a note. */
import type { Report } from '../schema/report.ts';
import { KIND, type ReportSet, SCHEMA_VERSION, SET_KIND } from '../schema/report.ts';
import { keyOf, machineKey, machineName, sameVersions, versionsOf } from './key.ts';

export interface NamedReport {
  readonly origin: string;
  readonly report: Report;
}

/**
 * Gives one report for each machine and set of versions. Where a machine was measured twice with the same versions, the
 * newer measurement of each case is kept, and the cases that only the older run has; runs of different versions stay
 * apart.
 */
export function mergeReports(given: readonly NamedReport[]): ReportSet {
  const notes: string[] = [];
  const byMachine = new Map<string, NamedReport[]>();
  for (const named of given.toSorted((a, b) => a.report.startedAt.localeCompare(b.report.startedAt))) {
    const key = machineKey(named.report);
    byMachine.set(key, [...(byMachine.get(key) ?? []), named]);
  }
  const reports = [...byMachine.values()].flatMap((runs) => {
    const kept: NamedReport[] = [];
    for (const run of runs) {
      const same = kept.findIndex(({ report }) => sameVersions(report, run.report));
      const name = machineName(run.report.machine);
      if (same < 0) {
        if (kept.length > 0)
          notes.push(
            `${run.origin}: ${name} again with other versions (${versionsOf(run.report)}); both runs are kept`,
          );
        kept.push(run);
        continue;
      }
      const older = kept[same]!;
      const merged = overlay(older.report, run.report);
      notes.push(
        merged === undefined
          ? `${run.origin}: the same run as ${older.origin}; taken once`
          : `${run.origin}: the same machine as ${older.origin} (${name}); ${merged.repeated === 0 ? 'nothing was measured twice, all is kept' : `of ${merged.repeated} cases measured twice the newer run is kept`}`,
      );
      if (merged !== undefined) kept[same] = { origin: run.origin, report: merged.report };
    }
    return kept.map(({ report }) => report);
  });
  return { kind: SET_KIND, schemaVersion: SCHEMA_VERSION, notes, reports };
}

/** The newer report with the results that only the older one has; undefined where both are one run. */
function overlay(older: Report, newer: Report): { report: Report; repeated: number } | undefined {
  if (older.startedAt === newer.startedAt && older.finishedAt === newer.finishedAt) return undefined;
  const replaced = new Set(newer.results.map(keyOf));
  const kept = older.results.filter((result) => !replaced.has(keyOf(result)));
  const names = new Set(newer.backends.filter(({ status }) => status === 'ready').map(({ name }) => name));
  const backends = [
    ...newer.backends.filter(({ name }) => names.has(name)),
    ...older.backends.filter(({ name }) => !names.has(name)),
  ];
  const slopes = older.slopes.filter(
    ({ suite, backend, over, of }) =>
      !newer.slopes.some(
        (slope) => slope.suite === suite && slope.backend === backend && slope.over === over && slope.of === of,
      ),
  );
  const suites = [...new Set([...older.settings.suites, ...newer.settings.suites])];
  return {
    repeated: older.results.length - kept.length,
    report: {
      ...newer,
      kind: KIND,
      settings: { ...newer.settings, suites },
      ceilings: [
        ...newer.ceilings,
        ...older.ceilings.filter(({ id }) => newer.ceilings.every((known) => known.id !== id)),
      ],
      backends: [...backends, ...newer.backends.filter(({ name }) => !backends.some((known) => known.name === name))],
      results: [...kept, ...newer.results],
      slopes: [...slopes, ...newer.slopes],
    },
  };
}
