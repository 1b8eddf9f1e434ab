/** The tables of docs/performance/cpu.md: the goals of @mamba/cpu, a figure a cell. */
import { PLACES } from '../../machine/modes.ts';
import type { Report } from '../../schema/report.ts';
import { type TargetRow, targetsOf } from '../targets.ts';
import type { MadeTable, Tables } from './made.ts';

const HEAD = ['', 'plain, Node 20', 'relaxed, Node 24', 'revectorised, Node 24', 'relaxed, Chromium'];

export function cpuTables(report: Report): Tables {
  const goals = targetsOf(report);
  const table = (pattern: RegExp) => (): MadeTable => ({
    head: HEAD,
    rows: goals.filter(({ label }) => pattern.test(label)).flatMap(rowsOf),
  });
  return { 'cpu-scan': table(/^scan/), 'cpu-prefill': table(/^(GEMM|prefill)/), 'cpu-decode': table(/^decode/) };
}

/** The figures, and the goals below them; ✗ marks one that is missed. */
function rowsOf({ label, cells }: TargetRow): readonly (readonly string[])[] {
  return [
    [label, ...PLACES.map((place) => `${cells[place]?.met === false ? '✗ ' : ''}${cells[place]?.figure ?? ''}`)],
    ['goal', ...PLACES.map((place) => cells[place]?.goal ?? '')],
  ];
}
