/** What a chart draws in one colour: a backend, on a machine where there are several. */
import type { BackendRecord, Report, Result } from '../../schema/report.ts';

export interface Series {
  readonly label: string;
  /** A CSS colour: one of the page's, which differ by theme. */
  readonly color: string;
  readonly report: Report;
  readonly backend: BackendRecord;
  /** Why it stays out of comparisons, if it does. */
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
        // Those that are compared get the colours first met; slow ones are grey.
        const color = slow === undefined ? `var(--series-${(next++ % COLORS) + 1})` : 'var(--quiet)';
        return { label: `${name}${slow === undefined ? '' : ` (${slow})`}${where}`, color, report, backend, slow };
      }),
  );
}

/** A, B, C, … by which a page tells machines apart. */
export function letter(index: number): string {
  return index < 26 ? String.fromCharCode(65 + index) : `${letter(Math.floor(index / 26) - 1)}${letter(index % 26)}`;
}

export function measuredOf({ report, backend }: Series): Result[] {
  return report.results.filter((result) => result.backend === backend.name && result.time !== undefined);
}
