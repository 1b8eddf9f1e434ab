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

function renderCrossings({ of, measures, rows }: CrossingTable, { style }: Look): string {
  const table = new Table({
    head: ['', ...measures.map((measure) => style.dim(MEASURE_TITLES[measure].toLowerCase()))],
    colAligns: ['left', ...measures.map(() => 'right' as const)],
    chars: NO_RULES,
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 2 },
  });
  for (const { label, cells } of rows) table.push([label, ...cells.map(({ text }) => text)]);
  const lines = table.toString().split('\n');
  return [style.bold(CROSSING_TITLES[of]), ...lines.map((line) => `  ${line}`.trimEnd())].join('\n');
}

function renderGeneration(report: VersusReport, backend: string, { style, width }: Look): string {
  const found = generationTable(report, backend);
  if (found === undefined) return '';
  const table = new Table({
    head: ['prompt + new', 'rows', ...found.models, found.models.length > 1 ? 'ratio' : ''].map((head) =>
      style.dim(head),
    ),
    colAligns: ['left', 'right', ...found.models.map(() => 'right' as const), 'right'],
    chars: NO_RULES,
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 2 },
  });
  for (const { prompt, tokens, batch, cells, ratio } of found.rows)
    table.push([
      `${formatLength(prompt)} + ${tokens}`,
      String(batch),
      ...cells.map(generationText),
      ratio === undefined ? '' : `${digits(ratio)}×`,
    ]);
  const sizes = report.generation
    .filter((row, index, all) => all.findIndex(({ model }) => model === row.model) === index)
    .map(
      ({ label, layers, dModel, parameters }) =>
        `${label}: ${layers} blocks of ${dModel}, ${digits(parameters / 1e6)} M`,
    );
  const lines = table.toString().split('\n');
  return [
    style.bold('Generation: new tokens a second'),
    ...wrap(sizes.join('; '), width - 2).map((line) => style.dim(`  ${line}`)),
    ...lines.map((line) => `  ${line}`.trimEnd()),
  ].join('\n');
}

function indented(text: string, { style, width }: Look): string {
  return wrap(text, width - 2)
    .map((line) => style.dim(`  ${line}`))
    .join('\n');
}
