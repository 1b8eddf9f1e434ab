import Table from 'cli-table3';
import pc from 'picocolors';
import { describeReport, type TensorReport } from '../runner/report.ts';
import type { CheckResult } from '../runner/run.ts';

/** A table within 80 columns, with a row for each tensor: its largest error over the cases of an operation or file. */
export function formatTable(reports: readonly TensorReport[]): string {
  const table = new Table({
    head: ['', 'n', 'error', 'bound', 'worst in'].map((title) => pc.bold(title)),
    colWidths: [26, 10, 9, 8, 23],
    colAligns: ['left', 'right', 'right', 'right', 'left'],
    style: { head: [], border: [], compact: true },
    chars: NO_BORDERS,
  });
  let heading = '';
  for (const row of summarise(reports)) {
    if (row.heading !== heading) table.push([{ content: pc.bold(shorten(row.heading, 76)), colSpan: 5 }]);
    heading = row.heading;
    const { count, failed, worst } = row;
    const mark = failed === 0 ? pc.green('✓') : pc.red('✗');
    const paint = failed === 0 ? (text: string) => text : pc.red;
    table.push([
      `${mark} ${shorten(row.tensor, 22)}`,
      failed === 0 ? String(count) : paint(`${failed}/${count}`),
      paint(formatError(worst.relativeError)),
      worst.tolerance === 0 ? '0' : worst.tolerance.toExponential(0),
      count === 1 || worst.relativeError === 0 ? '' : shorten(variant(worst), 21),
    ]);
  }
  return table.toString().replace(/ +$/gm, '');
}

function formatError(error: number): string {
  if (error === 0) return '0';
  return Number.isFinite(error) ? error.toExponential(1) : '–';
}

/** The checks that were skipped: a line for each reason. */
export function formatSkipped(checks: readonly CheckResult[]): string {
  const reasons = new Map<string, string[]>();
  for (const { id, status, reason } of checks) {
    if (status !== 'skipped') continue;
    const key = reason ?? '';
    reasons.set(key, [...(reasons.get(key) ?? []), id]);
  }
  return [...reasons]
    .map(([reason, ids]) => pc.dim(`skipped ${ids.length === 1 ? ids[0] : `${ids.length} checks`}: ${reason}\n`))
    .join('');
}

/** What each sort of check tells, by the first part of its id; of all others, which are of an operation or a block. */
const TELLS: Readonly<Record<string, string>> = {
  operations: 'results and gradients are those of the float64 reference',
  invariants: 'laws hold that need no reference: pieces give what the whole gives',
  properties: 'calls drawn at random give what the reference gives',
  golden: 'results are those of other implementations, from the same inputs',
  checkpoint: 'trained models give what other software computed with them',
  weights: 'a trained model in fewer bits stays as near as these bits allow',
};

/** What the checks that ran tell where they pass: a line for each sort. */
export function formatLegend(checks: readonly CheckResult[]): string {
  const ran = checks.filter(({ status }) => status !== 'skipped');
  const sorts = new Set(ran.map(({ id }) => id.split('/')[0]!).map((part) => (part in TELLS ? part : 'operations')));
  return Object.entries(TELLS)
    .filter(([sort]) => sorts.has(sort))
    .map(([sort, tells]) => pc.dim(`${sort}: ${tells}\n`))
    .join('');
}

/** A line for each failure, up to `limit`. */
export function formatFailures(reports: readonly TensorReport[], limit = 40): string {
  const failed = reports.filter(({ pass }) => !pass);
  const lines = failed.slice(0, limit).map((report) => `${pc.red('✗')} ${describeReport(report)}`);
  if (failed.length > limit) lines.push(`  and ${failed.length - limit} more; --json has them all`);
  return lines.join('\n');
}

export interface Row {
  readonly heading: string;
  readonly tensor: string;
  readonly count: number;
  readonly failed: number;
  /** The report whose error is the largest relative to its bound. */
  readonly worst: TensorReport;
}

function summarise(reports: readonly TensorReport[]): readonly Row[] {
  const rows = new Map<string, { heading: string; tensor: string; reports: TensorReport[] }>();
  for (const report of reports) {
    const heading = headingOf(report);
    const tensor = tensorOf(report);
    const key = JSON.stringify([report.source, heading, tensor]);
    const row = rows.get(key) ?? { heading, tensor, reports: [] };
    row.reports.push(report);
    rows.set(key, row);
  }
  return [...rows.values()].map(({ heading, tensor, reports: members }) => ({
    heading,
    tensor,
    count: members.length,
    failed: members.filter(({ pass }) => !pass).length,
    worst: members.reduce((worst, report) => (severity(report) > severity(worst) ? report : worst)),
  }));
}

/** The name of a row: a tensor without its index; for invariants and properties, the group of checks. */
function tensorOf({ source, case: id, tensor }: TensorReport): string {
  return source === 'invariants' || source === 'properties' ? id.split('/')[1]! : tensor.replace(/\.\d+$/, '');
}

/** The heading of a row: the operation for the suite, the checkpoint, or the golden file. */
function headingOf({ source, case: id, tensor }: TensorReport): string {
  if (source === 'suite' || source === 'invariants' || source === 'properties') return id.split('/')[0]!;
  return /^(out|grad)\./.test(tensor) ? source.split(/[/\\]/).at(-1)! : id;
}

function severity({ relativeError, tolerance, pass }: TensorReport): number {
  return relativeError / (tolerance || 1) + (pass ? 0 : 1e6);
}

/** The part of a report that tells it from the others in its row: the case, or the index of a tensor. */
function variant({ case: id, tensor, source }: TensorReport): string {
  if (source === 'invariants') return id.split('/').slice(2).join('/');
  if (source === 'suite' || source === 'properties') return id.split('/').slice(1).join('/');
  return /\.(\d+)$/.exec(tensor)?.[0] ?? id;
}

function shorten(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}

const NO_BORDERS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: ' ',
};
