import type { VersusReport } from '../schema/versus.ts';
import { crossingsOf } from './crossings.ts';

/** One report of several backends' reports on one machine, which were asked for the same. */
export function mergeVersus(reports: readonly [VersusReport, ...VersusReport[]]): VersusReport {
  const points = reports.flatMap((report) => report.points);
  const tasks = reports.flatMap((report) => report.tasks ?? []);
  return {
    ...reports[0],
    ...(reports[0].recipes !== undefined && { tasks }),
    finishedAt: reports.at(-1)!.finishedAt,
    interrupted: reports.some(({ interrupted }) => interrupted),
    backends: reports.flatMap(({ backends }) => backends),
    agreements: reports.flatMap(({ agreements }) => agreements),
    points,
    crossings: crossingsOf(points),
    generation: reports.flatMap(({ generation }) => generation),
  };
}
