import { stripVTControlCharacters } from 'node:util';
import { MambaError } from '@mamba/core';
import Table from 'cli-table3';
import { type ComparedRow, type Comparison, compareReports, regressions } from '../compare/compare.ts';
import { keyOf, machineName } from '../compare/key.ts';
import { formatSeconds } from '../report/format.ts';
import { type Style, styleFor } from '../report/style.ts';
import { NO_RULES, wrap } from '../report/table.ts';
import { readReport } from '../schema/read.ts';
import { checkWritable, writeWhole } from '../schema/write.ts';
import type { Terminal } from './terminal.ts';

export interface CompareOptions {
  /** Share by which a measurement may be slower: 0.1 is 10 %. */
  readonly regression: number;
  /** The file to which the comparison is written as JSON. */
  readonly json: string | undefined;
}

/** Gives 1 where a measurement is slower than allowed beyond its spread, or broke; 0 otherwise. */
export async function compareCommand(
  files: readonly [string, string],
  { regression, json }: CompareOptions,
  { stdout, environment }: Terminal,
): Promise<number> {
  checkWritable(json);
  const [first, second] = [await readReport(files[0]), await readReport(files[1])];
  const comparison = compareReports(first, second);
  const worse = regressions(comparison, regression);
  const style = styleFor(stdout, environment);
  const width = stdout.columns ?? 80;
  const print = (text: string): void => void stdout.write(`${text}\n`);
  print('');
  for (const [mark, file, { machine, startedAt }] of [
    ['A', files[0], first],
    ['B', files[1], second],
  ] as const) {
    const [line, ...others] = wrap(`${file} · ${machineName(machine)} · ${startedAt}`, width - 2);
    print(`${style.bold(mark)} ${line}`);
    for (const more of others) print(`  ${more}`);
  }
  for (const warning of comparison.warnings) for (const line of wrap(warning, width)) print(style.yellow(line));
  if (comparison.rows.length > 0) print(`\n${renderRows(comparison, worse, style, width)}`);
  for (const { suite, backend, ratio, count } of comparison.summaries) {
    if (count > 1) print(style.dim(`${suite}, ${backend}: ${formatChange(ratio)} (geometric mean of ${count})`));
  }
  const list = (title: string, keys: readonly string[]): void => {
    if (keys.length > 0) print(`\n${title}\n${keys.map((key) => `  ${key}`).join('\n')}`);
  };
  list(
    style.red('measured in A, broken in B'),
    comparison.broken.map((result) => `${keyOf(result)}: ${result.status}: ${result.reason}`),
  );
  list('only in A', comparison.onlyFirst);
  list('only in B', comparison.onlySecond);
  if (comparison.rows.length + comparison.broken.length === 0)
    throw new MambaError('invalid-argument', 'nothing was measured in both', {
      origin: 'compare',
      remedy: 'Compare runs of the same suites and backends.',
    });
  const percent = `${(regression * 100).toFixed(0)} %`;
  const failed = worse.length + comparison.broken.length;
  print(
    failed > 0
      ? `\n${style.red(`${failed} of ${comparison.rows.length + comparison.broken.length} got worse`)} by more than ${percent}, beyond their spread`
      : `\n${style.green('no regression')} beyond ${percent} in ${comparison.rows.length} measurements`,
  );
  if (json !== undefined) writeWhole(`${JSON.stringify({ files, regression, ...comparison }, null, 2)}\n`, json);
  return failed > 0 ? 1 : 0;
}

interface Column {
  readonly head: string;
  readonly left?: boolean;
  cell(row: ComparedRow): string;
}

/** Columns that do not fit the width are left out, the least needed first; the backend goes below the case then. */
function renderRows({ rows }: Comparison, worse: readonly ComparedRow[], style: Style, width: number): string {
  const CASE: Column = { head: 'case', left: true, cell: ({ first }) => first.case };
  const BACKEND: Column = { head: 'backend', left: true, cell: ({ first }) => first.backend };
  const DTYPE: Column = { head: 'dtype', left: true, cell: ({ first }) => first.dtype };
  const A: Column = { head: 'A', cell: ({ first }) => formatSeconds(first.time!.median) };
  const B: Column = { head: 'B', cell: ({ second }) => formatSeconds(second.time!.median) };
  const RATIO: Column = {
    head: 'B / A',
    cell(row) {
      const { ratio, verdict } = row;
      const paint = worse.includes(row) ? style.red : verdict === 'faster' ? style.green : String;
      return paint(`${ratio.toFixed(2)}×${verdict === 'same' ? ' ' : verdict === 'slower' ? '▲' : '▼'}`);
    },
  };
  const SPREAD: Column = {
    head: 'spread',
    cell: ({ low, high }) => style.dim(`${low.toFixed(2)}–${high.toFixed(2)}`),
  };
  const MEMORY: Column = {
    head: 'memory',
    cell: ({ memory }) => (memory === undefined ? '' : `${memory.toFixed(2)}×`),
  };
  const extra = rows.some(({ memory }) => memory !== undefined) ? [MEMORY] : [];
  const BOTH: Column = { head: 'case', left: true, cell: ({ first }) => `${first.case}\n  ${first.backend}` };
  const choices: Column[][] = [
    [CASE, BACKEND, DTYPE, A, B, RATIO, SPREAD, ...extra],
    [CASE, BACKEND, DTYPE, A, B, RATIO, ...extra],
    [CASE, BACKEND, A, B, RATIO, ...extra],
    [BOTH, A, B, RATIO, ...extra],
    [BOTH, RATIO, ...extra],
  ];
  let lines: string[] = [];
  for (const columns of choices) {
    const table = new Table({
      head: columns.map(({ head }) => style.dim(head)),
      colAligns: columns.map(({ left }) => (left === true ? 'left' : 'right')),
      chars: NO_RULES,
      style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 2 },
    });
    for (const row of rows) table.push(columns.map(({ cell }) => cell(row)));
    lines = table
      .toString()
      .split('\n')
      .map((line) => line.trimEnd());
    if (lines.every((line) => stripVTControlCharacters(line).length <= width)) break;
  }
  return lines.join('\n');
}

function formatChange(ratio: number): string {
  const percent = Math.abs(ratio - 1) * 100;
  return percent < 0.5 ? 'as fast' : `${percent.toFixed(0)} % ${ratio > 1 ? 'slower' : 'faster'}`;
}
