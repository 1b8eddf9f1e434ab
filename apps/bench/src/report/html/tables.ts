/** The tables of a page, as HTML. */
import { SUITE_NAMES } from '../../cases/contract.ts';
import type { Report, Result } from '../../schema/report.ts';
import {
  digits,
  formatBytes,
  formatCount,
  formatError,
  formatPercent,
  formatPower,
  formatRange,
  formatRate,
  formatSeconds,
} from '../format.ts';
import { wordsOf } from '../suites.ts';
import { escapeHtml } from './escape.ts';
import { scrolled } from './scrolled.ts';
import { letter } from './series.ts';

export function suitesOf(reports: readonly Report[]): string[] {
  const present = new Set(reports.flatMap(({ results }) => results.map(({ suite }) => suite)));
  const known: readonly string[] = SUITE_NAMES;
  return [...known.filter((name) => present.has(name)), ...[...present].filter((name) => !known.includes(name))];
}

/** Empty where the suite has no results. */
export function renderTable(suite: string, reports: readonly Report[]): string {
  const rows = reports.flatMap((report, index) =>
    report.results.filter((result) => result.suite === suite).map((result) => ({ result, index })),
  );
  if (rows.length === 0) return '';
  const several = reports.length > 1;
  const columns = COLUMNS.filter(({ cell }) => rows.some(({ result }) => result.time && cell(result, rows) !== ''));
  // The cases of several reports stand in the order of the first, and those after a context in that of its length.
  const order = [
    ...new Set(
      rows
        .toSorted((a, b) => (a.result.shape.context ?? 0) - (b.result.shape.context ?? 0))
        .map(({ result }) => result.case),
    ),
  ];
  rows.sort((a, b) => order.indexOf(a.result.case) - order.indexOf(b.result.case));
  const head = ['case', 'backend', ...(several ? ['machine'] : []), ...columns.map((column) => column.head)];
  const lead = several ? 3 : 2;
  const body = rows.map(({ result, index }, position) => {
    const repeated = rows[position - 1]?.result.case === result.case;
    const cells = [
      repeated ? '<td></td>' : `<th scope="row">${escapeHtml(caseLabel(result))}</th>`,
      `<td>${escapeHtml(result.backend)}${result.slow === undefined ? '' : ` <small>${escapeHtml(result.slow)}</small>`}</td>`,
      ...(several ? [`<td>${letter(index)}</td>`] : []),
    ];
    if (result.time === undefined) {
      // What a backend does not support is by design.
      const look = result.status === 'skipped' ? 'quiet' : 'bad';
      const reason = `<td class="${look} wide" colspan="${columns.length}">${result.status}: ${escapeHtml(result.reason ?? '')}</td>`;
      return `<tr class="${result.slow === undefined ? '' : 'slow'}">${cells.join('')}${reason}</tr>`;
    }
    for (const { cell, strong, optional } of columns)
      cells.push(`<td class="n${strong ? ' strong' : ''}${optional ? ' optional' : ''}">${cell(result, rows)}</td>`);
    return `<tr class="${[repeated ? '' : 'first', result.slow === undefined ? '' : 'slow'].join(' ').trim()}">${cells.join('')}</tr>`;
  });
  const headings = head.map((name, index) => {
    const optional = columns[index - lead]?.optional ? ' optional' : '';
    return `<th scope="col"${index < lead ? '' : ` class="n${optional}"`}>${name}</th>`;
  });
  return scrolled(
    `${wordsOf(suite).heading}: every result`,
    `<table><thead><tr>${headings.join('')}</tr></thead><tbody>\n${body.join('\n')}\n</tbody></table>`,
  );
}

/** The part of the id that the heading does not tell: `decode 32, after 2^20`. */
export function caseLabel({ case: id }: Pick<Result, 'case'>): string {
  return id
    .slice(id.indexOf('/') + 1)
    .replace(
      /-layers-(\d+)(-d(\d+))?$/,
      (_, layers, __, width) => ` (${layers} layers${width ? `, ${width} wide` : ''})`,
    )
    .replaceAll('-', ' ')
    .replace(/after (\d+)/, (_, count) => `after ${formatPower(Number(count))}`)
    .replace(/(\d+)x(\d+)$/, '$1 × $2');
}

interface Column {
  readonly head: string;
  readonly strong?: boolean;
  /** True for columns that are left out on paper, which is narrow. */
  readonly optional?: boolean;
  /** The cell as HTML; empty where there is no value. */
  cell(result: Result, all: readonly { readonly result: Result }[]): string;
}

const COLUMNS: readonly Column[] = [
  { head: 'weights', cell: ({ suite, dtype }) => (WITH_DTYPE.has(suite) ? escapeHtml(dtype) : '') },
  { head: 'time', strong: true, cell: ({ time }) => formatSeconds(time!.median) },
  {
    head: 'p10–p90',
    cell: ({ time }) => (time!.n === 1 ? 'once' : formatRange(time!.p10, time!.p90, time!.median)),
  },
  {
    head: 'first call',
    optional: true,
    cell: ({ time }) => (time!.first === undefined ? '' : formatSeconds(time!.first)),
  },
  {
    head: 'rate',
    strong: true,
    cell({ rate }) {
      if (rate === undefined || rate.unit === 'models/s') return '';
      if (rate.unit === 'tokens/s') return `${formatRate(rate.perSecond)} tok/s`;
      return `${formatCount(rate.perSecond)} ${escapeHtml(rate.unit.replace('state steps', 'steps'))}`;
    },
  },
  {
    head: 'of limit',
    cell({ ceiling }) {
      if (ceiling === undefined) return '';
      const share = Math.min(ceiling.share, 1) * 100;
      const bar = `<span class="bar"><i style="width:${share.toFixed(0)}%"></i></span>`;
      return `${bar}${formatPercent(ceiling.share)} <small>${ceiling.id.includes('operations') ? 'ops' : 'mem'}</small>`;
    },
  },
  {
    head: 'vs best',
    cell(result, all) {
      if (result.slow !== undefined) return '';
      const rivals = all.filter(
        ({ result: other }) =>
          other.case === result.case && other.dtype === result.dtype && other.slow === undefined && other.time,
      );
      if (rivals.length < 2) return '';
      const ratio = result.time!.median / Math.min(...rivals.map(({ result: other }) => other.time!.median));
      return ratio === 1 ? '<b class="good">best</b>' : `${digits(ratio)}×`;
    },
  },
  {
    head: 'memory',
    // What a backend holds beyond its tensors may come from the cases before.
    cell: ({ memory }) => (memory === undefined || memory.tensors === 0 ? '' : formatBytes(memory.tensors)),
  },
  { head: 'at most', cell: ({ memory }) => (memory?.peak === undefined ? '' : formatBytes(memory.peak)) },
  { head: 'state', cell: ({ memory }) => (memory?.state === undefined ? '' : formatBytes(memory.state)) },
  {
    head: 'error',
    cell: ({ check }) =>
      check?.relativeError == null ? '' : `${formatError(check.relativeError)} <span class="good">✓</span>`,
  },
];

const WITH_DTYPE = new Set(['linear', 'model', 'quantised', 'peers']);
