/** Comparisons as Markdown: the claims beside what was measured of them, and the tables behind that. */

import { machineName } from '../../compare/key.ts';
import { MEASURES, type VersusReport } from '../../schema/versus.ts';
import { digits, formatPower } from '../format.ts';
import { markdownTable } from '../markdown-table.ts';
import { wrap } from '../table.ts';
import { CLAIMS, describeBert } from './claims.ts';
import {
  CROSSING_LEGEND,
  CROSSING_TITLES,
  crossingTable,
  formatLength,
  generationTable,
  generationText,
  LEGEND,
  MEASURE_TITLES,
  matrixOf,
  QUANTITY_TITLES,
} from './matrix.ts';

import { TASK_LEGEND, taskTables } from './tasks.ts';

export const NOT_MEASURED = 'not measured yet';

/** The whole generated part of docs/versus.md. */
export function renderVersusMarkdown(reports: readonly VersusReport[]): string {
  const parts = ['### The claims', ...renderClaims(reports), ...renderTasks(reports)];
  for (const report of reports) parts.push(...renderReport(report));
  return parts.join('\n\n');
}

function renderClaims(reports: readonly VersusReport[]): string[] {
  const rows = CLAIMS.map(({ claim, source, measured }) => {
    const found = reports.flatMap((report) =>
      report.backends.flatMap(({ name }) => {
        const text = measured(report, name);
        return text === undefined ? [] : [`**${name}, ${placeOf(report, name)}**: ${text}.`];
      }),
    );
    return `| ${claim} | ${source} | ${found.length === 0 ? NOT_MEASURED : found.join('<br>')} |`;
  });
  const bert = '| BERT-base at 512 tokens × 32 sequences takes 0.93 GiB for attention | the seed | by the formulas: ';
  return [
    ['| claim | who says it | measured |', '| --- | --- | --- |', ...rows, `${bert}${describeBert()} |`].join('\n'),
  ];
}

/** What models learnt, of all results together. */
function renderTasks(reports: readonly VersusReport[]): string[] {
  const tables = taskTables(
    reports.map((report) => ({ report, place: (backend: string) => `${backend}, ${placeOf(report, backend)}` })),
  );
  if (tables.length === 0) return [];
  return [
    '### What they learn',
    ...tables.flatMap(({ title, recipe, head, rows }) => [
      `**${title}**`,
      prose(`${recipe.charAt(0).toUpperCase()}${recipe.slice(1)}.`),
      markdownTable(head, rows),
    ]),
    prose(`${TASK_LEGEND}.`),
  ];
}

/** What a backend ran on: the device where it tells of one, else the machine's processor; and the engine. */
function placeOf({ machine, backends }: VersusReport, backend: string): string {
  const device = backends.find(({ name }) => name === backend)?.details?.device;
  return machineName(typeof device === 'string' && device !== '' ? { ...machine, cpu: device } : machine);
}

function renderReport(report: VersusReport): string[] {
  const { machine, settings, startedAt, backends } = report;
  const parts: string[] = [];
  for (const { name, description, status } of backends) {
    if (status !== 'ready') continue;
    const facts = [
      `${machine.cores} cores`,
      description,
      `d_model ${settings.dModel}`,
      `batch ${settings.batch}`,
      settings.clock === 'processor' ? 'times of the processor' : 'times of the clock',
      startedAt.slice(0, 10),
    ];
    parts.push(`### ${name} on ${placeOf(report, name)}`, prose(facts.join(', ')));
    const checks = report.agreements.filter(({ backend, status: how }) => backend === name && how === 'agrees');
    if (checks.length > 0)
      parts.push(
        prose(
          `Each system was compared with the float64 reference first (${checks[0]!.check!.checked}); the largest error is ${Math.max(...checks.map(({ check }) => check!.relativeError ?? 0)).toExponential(1)}.`,
        ),
      );
    for (const measure of MEASURES) {
      const tables = (['time', 'memory'] as const).flatMap(
        (quantity) => matrixOf(report, name, measure, quantity) ?? [],
      );
      for (const { quantity, lengths, rows } of tables) {
        parts.push(`**${MEASURE_TITLES[measure]}: ${QUANTITY_TITLES[measure][quantity]}**`);
        parts.push(
          markdownTable(
            ['', ...lengths.map(formatPower)],
            rows.map(({ label, cells }) => [label, ...cells.map(({ text }) => text)]),
          ),
        );
      }
    }
    if (report.points.some(({ backend }) => backend === name)) parts.push(prose(`${LEGEND}.`));
    for (const of of ['time', 'memory'] as const) {
      const table = crossingTable(report, name, of);
      if (table === undefined) continue;
      parts.push(
        `**${CROSSING_TITLES[of]}**`,
        prose(`${CROSSING_LEGEND.charAt(0).toUpperCase()}${CROSSING_LEGEND.slice(1)}.`),
      );
      parts.push(
        markdownTable(
          ['', ...table.measures.map((measure) => MEASURE_TITLES[measure].toLowerCase())],
          table.rows.map(({ label, cells }) => [label, ...cells]),
        ),
      );
    }
    parts.push(...renderGeneration(report, name));
  }
  return parts;
}

function renderGeneration(report: VersusReport, backend: string): string[] {
  const table = generationTable(report, backend);
  if (table === undefined) return [];
  const several = table.models.length > 1;
  const head = ['prompt + new', 'rows', ...table.models, ...(several ? ['ratio'] : [])];
  const rows = table.rows.map(({ prompt, tokens, batch, cells, ratio }) => [
    `${formatLength(prompt)} + ${tokens}`,
    String(batch),
    ...cells.map(generationText),
    ...(several ? [ratio === undefined ? '' : `${digits(ratio)}×`] : []),
  ]);
  return ['**Generation: new tokens a second of all rows, the prompt included**', markdownTable(head, rows)];
}

/** Text in lines of at most 120 columns. */
function prose(text: string): string {
  return wrap(text, 120).join('\n');
}

const BEGIN = '<!-- What follows, to the end mark, is made by mamba-bench versus --into. -->';
const END = '<!-- The end of what is made. -->';

/** The document with its generated part replaced; undefined where it has no marks of one. */
export function replaceGenerated(document: string, text: string): string | undefined {
  const [from, to] = [document.indexOf(BEGIN), document.indexOf(END)];
  if (from < 0 || to < from) return undefined;
  return `${document.slice(0, from + BEGIN.length)}\n\n${text}\n\n${document.slice(to)}`;
}
