/** A comparison as tables of figures, for the terminal, Markdown and the page. */
import type { Crossing, GenerationRow, Measure, VersusPoint, VersusReport } from '../../schema/versus.ts';
import { needOf } from '../../versus/crossings.ts';
import { digits, formatBytes, formatCount, formatSeconds } from '../format.ts';

export type Quantity = 'time' | 'rate' | 'memory';

/** What is read in a table's title: `Whole sequence: time`. */
export const MEASURE_TITLES: Readonly<Record<Measure, string>> = {
  forward: 'A whole sequence',
  step: 'One more token',
  train: 'A step of training',
};

export const QUANTITY_TITLES: Readonly<Record<Measure, Readonly<Record<Quantity, string>>>> = {
  forward: { time: 'time', rate: 'tokens a second', memory: 'memory at most' },
  step: { time: 'time', rate: 'tokens a second', memory: 'memory of the state' },
  train: { time: 'time', rate: 'tokens a second', memory: 'memory at most' },
};

export interface Cell {
  readonly text: string;
  readonly point: VersusPoint | undefined;
}

export interface Matrix {
  readonly measure: Measure;
  readonly quantity: Quantity;
  readonly lengths: readonly number[];
  readonly rows: readonly { readonly system: string; readonly label: string; readonly cells: readonly Cell[] }[];
}

/** A row for each system and a column for each length; undefined where nothing was asked for. */
export function matrixOf(
  report: VersusReport,
  backend: string,
  measure: Measure,
  quantity: Quantity,
): Matrix | undefined {
  const points = report.points.filter((point) => point.backend === backend && point.measure === measure);
  if (points.length === 0) return undefined;
  const { lengths } = report.settings;
  const rows = report.systems.flatMap(({ name, label }) => {
    const own = new Map(points.filter(({ system }) => system === name).map((point) => [point.length, point]));
    if (own.size === 0) return [];
    const cells = lengths.map(
      (length): Cell => ({ text: cellText(own.get(length), quantity), point: own.get(length) }),
    );
    return [{ system: name, label, cells }];
  });
  return { measure, quantity, lengths, rows };
}

/** What the signs of cells mean. */
export const LEGEND =
  '✕: refused, with the memory that it would take; ≈: not run, with the time that a call would take; –: not possible';

/** The value of a point that is drawn or compared. */
export function figureOf(point: VersusPoint, quantity: Quantity): number | undefined {
  return quantity === 'rate' ? point.perSecond : needOf(point, quantity);
}

export function formatQuantity(value: number, quantity: Quantity): string {
  if (quantity === 'time') return formatSeconds(value);
  return quantity === 'memory' ? formatBytes(value) : value >= 1000 ? formatCount(value) : digits(value);
}

function cellText(point: VersusPoint | undefined, quantity: Quantity): string {
  if (point === undefined) return '';
  const { status, refused, expected } = point;
  if (status === 'refused') return `✕ ${formatBytes(refused!.bytes)}`;
  if (status === 'stopped') return `≈ ${formatSeconds(expected!)}`;
  if (status !== 'measured') return status === 'failed' ? 'failed' : '–';
  const value = figureOf(point, quantity);
  return value === undefined ? '–' : formatQuantity(value, quantity);
}

/** `Mamba is faster than attention from 1,930 tokens on, 3.2 × at 8,192`. */
export function describeCrossing(
  { of, against, less, from, length, ratio, alone }: Crossing,
  report: VersusReport,
): string {
  const label = report.systems.find(({ name }) => name === against)?.label ?? against;
  const better = of === 'time' ? 'faster than' : 'smaller than';
  const most = alone === undefined ? '' : `; from ${formatLength(alone)} on it is alone`;
  const factor = ratio >= 1 ? ratio : 1 / ratio;
  const at = `${digits(factor)} × at ${formatLength(length)}`;
  if (less === 'always') return `Mamba is ${better} ${label} at every length, ${at}${most}`;
  if (less === 'from')
    return `Mamba is ${better} ${label} from ${formatLength(Math.round(from!))} tokens on, ${at}${most}`;
  const level = factor < 1.005;
  const worse = of === 'time' ? 'faster' : 'smaller';
  return level
    ? `Mamba and ${label} are level at ${formatLength(length)}${most}`
    : `${label} is ${worse} than Mamba, ${at}${most}`;
}

export function formatLength(length: number): string {
  return String(length).replace(/\B(?=(\d{3})+$)/g, ' ');
}

/** The rows of generation, by prompt and batch, with what one model does over the other. */
export interface GenerationTable {
  readonly backend: string;
  readonly models: readonly string[];
  readonly rows: readonly {
    readonly prompt: number;
    readonly tokens: number;
    readonly batch: number;
    readonly cells: readonly (GenerationRow | undefined)[];
    /** The first model's throughput over the other's. */
    readonly ratio: number | undefined;
  }[];
}

export function generationTable(report: VersusReport, backend: string): GenerationTable | undefined {
  const rows = report.generation.filter((row) => row.backend === backend);
  if (rows.length === 0) return undefined;
  const models = [...new Set(rows.map(({ model }) => model))];
  const labels = models.map((model) => rows.find((row) => row.model === model)!.label);
  const keys = [...new Set(rows.map(({ prompt, batch }) => `${prompt} ${batch}`))];
  return {
    backend,
    models: labels,
    rows: keys.map((key) => {
      const [prompt, batch] = key.split(' ').map(Number) as [number, number];
      const cells = models.map((model) =>
        rows.find((row) => row.model === model && row.prompt === prompt && row.batch === batch),
      );
      const [first, second] = cells;
      const ratio =
        first?.perSecond !== undefined && second?.perSecond !== undefined
          ? first.perSecond / second.perSecond
          : undefined;
      return { prompt, batch, tokens: rows[0]!.tokens, cells, ratio };
    }),
  };
}

/** A cell of generation: new tokens a second, or why there are none. */
export function generationText(row: GenerationRow | undefined): string {
  if (row === undefined) return '';
  const { status, perSecond, refused, expected } = row;
  if (status === 'measured') return formatQuantity(perSecond!, 'rate');
  if (status === 'refused') return `✕ ${formatBytes(refused!.bytes)}`;
  return status === 'stopped' ? `≈ ${formatSeconds(expected!)}` : status;
}
