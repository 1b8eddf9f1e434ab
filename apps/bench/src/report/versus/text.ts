/** A comparison as text for a terminal. */
import { stripVTControlCharacters } from 'node:util';
import Table from 'cli-table3';
import { MEASURES, type VersusReport } from '../../schema/versus.ts';
import { digits, formatPower } from '../format.ts';
import { type Look, NO_RULES, wrap } from '../table.ts';
import {
  type Cell,
  CROSSING_LEGEND,
  CROSSING_TITLES,
  type CrossingTable,
  crossingTable,
  formatLength,
  generationTable,
  generationText,
  LEGEND,
  type Matrix,
  MEASURE_TITLES,
  matrixOf,
  QUANTITY_TITLES,
} from './matrix.ts';
import { TASK_LEGEND, taskTables } from './tasks.ts';

/** Tables of time and memory, the crossings, and generation; for each backend. */
export function renderVersus(report: VersusReport, look: Look): string {
  const { style } = look;
  const parts: string[] = [];
  const { dModel, batch } = report.settings;
  for (const { name } of report.backends) {
    const tables = MEASURES.flatMap((measure) =>
      (['time', 'memory'] as const).flatMap((quantity) => matrixOf(report, name, measure, quantity) ?? []),
    );
    const generation = renderGeneration(report, name, look);
    if (tables.length === 0 && generation === '') continue;
    parts.push(style.bold(`${name}: one block, d_model ${dModel}, batch ${batch}`));
    for (const table of tables) parts.push(renderMatrix(table, look));
    if (tables.length > 0) parts.push(indented(LEGEND, look));
    for (const of of ['time', 'memory'] as const) {
      const table = crossingTable(report, name, of);
      if (table !== undefined) parts.push(renderCrossings(table, look));
    }
    if (report.crossings.some(({ backend }) => backend === name)) parts.push(indented(CROSSING_LEGEND, look));
    if (generation !== '') parts.push(generation);
  }
  const tasks = taskTables([{ report, place: (backend) => backend }]);
  for (const { title, recipe, head, rows } of tasks)
    parts.push([style.bold(title), indented(recipe, look), ...tableLines(head, rows, look)].join('\n'));
  if (tasks.length > 0) parts.push(indented(TASK_LEGEND, look));
  for (const { label, task, backend, status, reason } of report.tasks ?? [])
    if (status === 'failed' || status === 'disagrees')
      parts.push(style.red(`${label} on ${backend}, ${task}: ${status}: ${reason}`));
  for (const { system, backend, status, reason } of report.agreements)
    if (status !== 'agrees') parts.push(style.red(`${system} on ${backend} ${status}: ${reason}`));
  for (const { system, backend, measure, length, status, reason } of report.points)
    if (status === 'failed')
      parts.push(style.red(`${system} on ${backend} failed, ${measure} of ${length}: ${reason}`));
  return parts.join('\n\n');
}

function renderMatrix({ measure, quantity, lengths, rows }: Matrix, { style, width }: Look): string {
  const title = `${MEASURE_TITLES[measure]}: ${QUANTITY_TITLES[measure][quantity]}`;
  const cell = ({ text, point }: Cell): string => (point?.status === 'measured' ? text : style.dim(text));
  // Lengths that do not fit are left out evenly, the longest last.
  for (let every = 1; ; every *= 2) {
    const shown = lengths.map((_, index) => index).filter((index) => (lengths.length - 1 - index) % every === 0);
    const table = new Table({
      head: ['', ...shown.map((index) => style.dim(formatPower(lengths[index]!)))],
      colAligns: ['left', ...shown.map(() => 'right' as const)],
      chars: NO_RULES,
      style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 2 },
    });
    for (const row of rows) table.push([row.label, ...shown.map((index) => cell(row.cells[index]!))]);
    const lines = table.toString().split('\n');
    if (shown.length > 1 && lines.some((line) => stripVTControlCharacters(line).trimEnd().length + 2 > width)) continue;
    return [style.bold(title), ...lines.map((line) => `  ${line}`.trimEnd())].join('\n');
  }
}

function renderCrossings({ of, measures, rows }: CrossingTable, look: Look): string {
  const lines = tableLines(
    ['', ...measures.map((measure) => MEASURE_TITLES[measure].toLowerCase())],
    rows.map(({ label, cells }) => [label, ...cells]),
    look,
  );
  return [look.style.bold(CROSSING_TITLES[of]), ...lines].join('\n');
}

/** A table whose numbers stand on the right. */
function tableLines(head: readonly string[], rows: readonly (readonly string[])[], { style }: Look): string[] {
  const table = new Table({
    head: head.map((text) => style.dim(text)),
    colAligns: head.map((_, index) => (index === 0 ? 'left' : 'right')),
    chars: NO_RULES,
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 2 },
  });
  for (const row of rows) table.push([...row]);
  return table
    .toString()
    .split('\n')
    .map((line) => `  ${line}`.trimEnd());
}

function renderGeneration(report: VersusReport, backend: string, look: Look): string {
  const { style, width } = look;
  const found = generationTable(report, backend);
  if (found === undefined) return '';
  const lines = tableLines(
    ['prompt + new', 'rows', ...found.models, found.models.length > 1 ? 'ratio' : ''],
    found.rows.map(({ prompt, tokens, batch, cells, ratio }) => [
      `${formatLength(prompt)} + ${tokens}`,
      String(batch),
      ...cells.map(generationText),
      ratio === undefined ? '' : `${digits(ratio)}×`,
    ]),
    look,
  );
  const sizes = report.generation
    .filter((row, index, all) => all.findIndex(({ model }) => model === row.model) === index)
    .map(
      ({ label, layers, dModel, parameters }) =>
        `${label}: ${layers} blocks of ${dModel}, ${digits(parameters / 1e6)} M`,
    );
  return [
    style.bold('Generation: new tokens a second'),
    ...wrap(sizes.join('; '), width - 2).map((line) => style.dim(`  ${line}`)),
    ...lines,
  ].join('\n');
}

function indented(text: string, { style, width }: Look): string {
  return wrap(text, width - 2)
    .map((line) => style.dim(`  ${line}`))
    .join('\n');
}
