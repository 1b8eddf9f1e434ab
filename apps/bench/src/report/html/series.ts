/** The series of a chart, one for each colour: a backend, and its machine where there are several. */
import type { BackendRecord, Report, Result } from '../../schema/report.ts';

export interface Series {
  readonly label: string;
  /** A CSS colour: one of the page's, which differ by theme. */
  readonly color: string;
  readonly report: Report;
  readonly backend: BackendRecord;
  /** The reason for which it stays out of comparisons, if it does. */
  readonly slow: string | undefined;
}

/** Colours that the style sheet defines. */
const COLORS = 12;

export function seriesOf(reports: readonly Report[]): Series[] {
  let next = 0;
  return reports.flatMap((report, index) =>
    report.backends
      .filter(({ name }) => report.results.some(({ backend, time }) => backend === name && time !== undefined))
      .map((backend): Series => {
        const { name, slow } = backend;
        const where = reports.length > 1 ? ` · ${letter(index)}` : '';
        // Backends that are compared get the first colours; slow ones are grey.
        const color = slow === undefined ? `var(--series-${(next++ % COLORS) + 1})` : 'var(--quiet)';
        return { label: `${name}${slow === undefined ? '' : ` (${slow})`}${where}`, color, report, backend, slow };
      }),
  );
}

/** The letter by which a page names a machine: A, B, C, …. */
export function letter(index: number): string {
  return index < 26 ? String.fromCharCode(65 + index) : `${letter(Math.floor(index / 26) - 1)}${letter(index % 26)}`;
}

export function measuredOf({ report, backend }: Series): Result[] {
  return report.results.filter((result) => result.backend === backend.name && result.time !== undefined);
}
