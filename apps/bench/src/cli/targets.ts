import { MAMBA_SIZES, modelConfig } from '@mamba/core';
import Table from 'cli-table3';
import type { ShapeChoice, SuiteName } from '../cases/contract.ts';
import { SUITES } from '../cases/index.ts';
import { chooseNamed, type FoundBackend } from '../machine/backends.ts';
import { PLACES } from '../machine/modes.ts';
import { PEERS } from '../peers/index.ts';
import { type PeerRound, peerStage } from '../peers/stage.ts';
import { styleFor } from '../report/style.ts';
import { type Look, NO_RULES, wrap } from '../report/table.ts';
import { type TargetRow, targetsOf } from '../report/targets.ts';
import { findPlaces } from '../runner/candidates.ts';
import { readReport } from '../schema/read.ts';
import type { Report } from '../schema/report.ts';
import { runAndShow } from './bench.ts';
import type { Terminal } from './terminal.ts';

export interface TargetsOptions {
  /** A report to show instead of measuring. */
  readonly file: string | undefined;
  readonly json: string | undefined;
  /** True for a rehearsal with short prompts and few samples. */
  readonly quick: boolean;
  /** True for a table in Markdown instead of the terminal's. */
  readonly markdown: boolean;
}

/** Measures the cpu backend's goals, every mode and peer in turns, and prints them beside their figures. */
export async function targetsCommand(options: TargetsOptions, terminal: Terminal): Promise<number> {
  const { stdout, environment } = terminal;
  const look: Look = { style: styleFor(stdout, environment), width: stdout.columns ?? 80 };
  const show = (report: Report): void => {
    const rows = targetsOf(report);
    if (rows.length === 0) return;
    stdout.write(`\n${options.markdown ? renderMarkdown(rows, report) : renderTargets(rows, look)}\n`);
  };
  if (options.file !== undefined) {
    show(await readReport(options.file));
    return 0;
  }
  const backends = await findPlaces(PLACES, [1, 2]);
  const stage = peerStage({
    peers: chooseNamed(PEERS, ['llama.cpp', 'wllama'], 'peer'),
    backends,
    config: modelConfig(MAMBA_SIZES['mamba-130m']),
    prefill: options.quick ? 32 : 512,
    decode: options.quick ? 8 : 64,
    threads: [1, 2],
    rounds: ROUNDS,
  });
  const { report, status } = await runAndShow(
    {
      suites: SUITES.filter(({ name }) => name in CHOICES),
      backends,
      effort: options.quick ? 'quick' : 'standard',
      choices: CHOICES,
      stages: [stage],
      json: options.json,
    },
    terminal,
  );
  show(report);
  return status;
}

/** Goals that are told for one core take one thread, and every length that they name. */
const alone = ({ record }: FoundBackend): boolean => record.details?.threads === 1;
const CHOICES: Partial<Record<SuiteName, { shapes: ShapeChoice; takes?: (candidate: FoundBackend) => boolean }>> = {
  scan: { shapes: { length: [2 ** 9, 2 ** 11, 2 ** 13, 2 ** 15, 2 ** 17] }, takes: alone },
  linear: { shapes: { batch: [512] } },
  context: { shapes: { length: [2 ** 4, 2 ** 20] }, takes: alone },
};

/**
 * Native llama.cpp runs on one thread too, which is sometimes its best; others on two alone, where the goals are of
 * two.
 */
const two: PeerRound['takes'] = ({ peer, threads }) => threads === 2 || peer === 'llama.cpp';
const ROUNDS: readonly PeerRound[] = [
  {
    format: 'F32',
    kinds: ['prefill', 'decode'],
    takes: ({ peer, threads }) => peer === undefined || threads === 2 || peer === 'llama.cpp',
  },
  { format: 'F16', kinds: ['decode'], takes: two },
  { format: 'Q8_0', kinds: ['decode'], takes: two },
];

function renderTargets(rows: readonly TargetRow[], { style, width }: Look): string {
  if (width < 78) return renderList(rows, { style, width });
  const label = Math.max(width - 2 - 4 * 14, 20);
  const table = new Table({
    head: ['goal', ...PLACES].map((head) => style.dim(head)),
    chars: NO_RULES,
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 2 },
  });
  for (const { label: text, cells } of rows) {
    const shown = PLACES.map((mode) => {
      const cell = cells[mode];
      if (cell === undefined) return style.dim('–');
      const mark = cell.met === undefined ? '' : cell.met ? style.green('✓') : style.red('✗');
      return [`${style.bold(cell.figure)} ${mark}`, style.dim(cell.goal), style.dim(cell.spread)].join('\n').trimEnd();
    });
    table.push([wrap(text, label).join('\n'), ...shown]);
  }
  const lines = table.toString().split('\n');
  return [style.bold('goals of @mamba/cpu'), ...lines.map((line) => `  ${line}`.trimEnd())].join('\n');
}

/** The list for narrow terminals: a line for each figure. */
function renderList(rows: readonly TargetRow[], { style, width }: Look): string {
  const lines = rows.flatMap(({ label, cells }) => [
    ...wrap(label, width - 2).map((line) => `  ${line}`),
    ...PLACES.flatMap((mode) => {
      const cell = cells[mode];
      if (cell === undefined) return [];
      const mark = cell.met === undefined ? '' : cell.met ? style.green(' ✓') : style.red(' ✗');
      return [`    ${mode.padEnd(12)} ${style.bold(cell.figure)}${mark} ${style.dim(cell.goal)}`];
    }),
  ]);
  return [style.bold('goals of @mamba/cpu'), ...lines].join('\n');
}

/** The table in Markdown, with the machine and the way in which peers were driven. */
function renderMarkdown(rows: readonly TargetRow[], report: Report): string {
  const cell = (row: TargetRow, mode: (typeof PLACES)[number]): string => {
    const found = row.cells[mode];
    if (found === undefined) return '–';
    const { figure, spread, goal, met } = found;
    return `${met === undefined ? figure : `${met ? '' : '✗ '}**${figure}**`}${spread === '' ? '' : ` (${spread})`}; goal ${goal}`;
  };
  const { cpu, cores } = report.machine;
  const notes = report.backends.map(
    ({ name, description, how, reason }) =>
      `- ${name}: ${[description, how, reason && `not here: ${reason}`].filter(Boolean).join('; ')}`,
  );
  return [
    `${cpu}, ${cores} cores, ${report.startedAt.slice(0, 16).replace('T', ' ')} UTC`,
    '',
    `| | ${PLACES.join(' | ')} |`,
    `| --- |${PLACES.map(() => ' --- |').join('')}`,
    ...rows.map((row) => `| ${row.label} | ${PLACES.map((mode) => cell(row, mode)).join(' | ')} |`),
    '',
    ...notes,
  ].join('\n');
}
