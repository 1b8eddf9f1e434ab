/**
 * The sections of `mamba-bench kernels --backend cpu`: each measures in processes of its own and prints what it found.
 * Node only.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MODES, type Mode } from '../../machine/modes.ts';
import type { LengthReport } from './length.ts';
import { LOAD_CASES, LOAD_FILES, loadLimit } from './load-memory.ts';
import type { KernelRow, ModeReport } from './measure.ts';
import { runTask } from './task.ts';

export const CPU_SECTIONS = ['kernels', 'length', 'load-memory'] as const;
export type CpuSection = (typeof CPU_SECTIONS)[number];

export interface CpuOptions {
  /** Empty: the kernels alone. */
  readonly sections: readonly CpuSection[];
  /** Empty: every mode for the kernels, the backend's default for the length. */
  readonly modes: readonly Mode[];
  /** Threads of the length section. */
  readonly threads: number;
  /** Seconds of each mode's kernels. */
  readonly seconds: number;
  /** Small shapes, as a check of the program. */
  readonly quick: boolean;
}

export interface CpuKernels {
  readonly kernels?: readonly ModeReport[];
  readonly length?: readonly LengthReport[];
  readonly 'load-memory'?: readonly { readonly file: string; readonly dtype: string; readonly within: boolean }[];
}

/** Gives what was measured, by section; `print` gets lines as they come. */
export async function measureCpu(options: CpuOptions, print: (line: string) => void): Promise<CpuKernels> {
  const sections = options.sections.length > 0 ? options.sections : (['kernels'] as const);
  return {
    ...(sections.includes('kernels') && { kernels: await kernels(options, print) }),
    ...(sections.includes('length') && { length: await length(options, print) }),
    ...(sections.includes('load-memory') && { 'load-memory': await loadMemory(print) }),
  };
}

/** A process for each mode, one after the other, and one table. */
async function kernels({ modes, seconds, quick }: CpuOptions, print: (line: string) => void): Promise<ModeReport[]> {
  const reports: ModeReport[] = [];
  for (const mode of modes.length > 0 ? modes : MODES)
    reports.push(await runTask('kernels', { mode, seconds, quick }, mode));
  const names = [...new Set(reports.flatMap(({ rows }) => rows.map(({ name }) => name)))];
  const cells = [
    ['', ...reports.map(({ mode }) => mode)],
    ['engine', ...reports.map(({ engine }) => engine)],
    ['rounds', ...reports.map(({ rounds }) => String(rounds))],
    ...names.map((name) => [name, ...reports.map(({ rows }) => cellOf(rows.find((row) => row.name === name)))]),
  ];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)));
  for (const line of cells) print(line.map((cell, column) => cell.padEnd(widths[column]!)).join(' | '));
  return reports;
}

function cellOf(row: KernelRow | undefined): string {
  if (row === undefined) return '';
  const share = row.share === undefined ? '' : `, ${(100 * row.share).toFixed(0)} %`;
  return `${row.value.toPrecision(3)} ${row.unit}${share}`;
}

async function length(
  { modes, threads, quick }: CpuOptions,
  print: (line: string) => void,
): Promise<readonly LengthReport[]> {
  const reports: LengthReport[] = [];
  for (const mode of modes.length > 0 ? modes : [undefined]) {
    const report = await runTask('length', { mode, threads, quick }, mode);
    reports.push(report);
    print(`${report.engine}; ${report.description}`);
    for (const { name, slope, points } of report.slopes) {
      const each = points.map(({ microsecondsPerStep }) => microsecondsPerStep.toFixed(2)).join(' ');
      print(
        `${name}: slope ${slope.toFixed(3)} over ${points[0]!.length} … ${points.at(-1)!.length}; µs a step: ${each}`,
      );
    }
    for (const { length, least, median } of report.decode)
      print(`decode after ${length} tokens: ${least.toFixed(2)} µs a token at least, median ${median.toFixed(2)}`);
    const [few, many] = report.decode;
    print(
      `after ${many!.length} over after ${few!.length}: ${(many!.least / few!.least).toFixed(3)} at least, ` +
        `median ${(many!.median / few!.median).toFixed(3)}`,
    );
  }
  return reports;
}

/** A process for each file and type, since a process's peak only grows. */
async function loadMemory(print: (line: string) => void): Promise<NonNullable<CpuKernels['load-memory']>> {
  const folder = await mkdtemp(join(tmpdir(), 'mamba-load-'));
  try {
    for (const file of LOAD_FILES) await runTask('write-model', { folder, file });
    const reports = [];
    for (const [file, dtype] of LOAD_CASES) {
      const report = await runTask('load', { folder, file, dtype });
      const limit = loadLimit(report);
      const within = report.peak <= limit;
      const [weights, peak, most, reserved] = [report.weights, report.peak, limit, report.reserved].map(
        (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`,
      );
      print(
        `${file} as ${dtype}: weights ${weights}, peak ${peak}, limit ${most}, WebAssembly memory ${reserved}: ` +
          `${within ? 'within' : 'ABOVE'}`,
      );
      reports.push({ file, dtype, ...report, limit, within });
    }
    return reports;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
