/** A comparison as tables of figures, for the terminal, Markdown and the page. */
import {
  type Crossing,
  type GenerationRow,
  MEASURES,
  type Measure,
  type VersusPoint,
  type VersusReport,
} from '../../schema/versus.ts';
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
  readonly rows: readonly { readonly label: string; readonly cells: readonly Cell[] }[];
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
    return [{ label, cells }];
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
  if (status === 'stopped') return quantity === 'memory' ? '' : `≈ ${formatSeconds(expected!)}`;
  if (status !== 'measured') return status === 'failed' ? 'failed' : '–';
  const value = figureOf(point, quantity);
  return value === undefined ? '–' : formatQuantity(value, quantity);
}

/** Where Mamba needs less time or memory than another system, a column for each measure. */
export interface CrossingTable {
  readonly of: Crossing['of'];
  readonly measures: readonly Measure[];
  /** `from 1,930: 3.20×`: the length, and what the other needs over what Mamba needs at the longest length of both. */
  readonly rows: readonly { readonly label: string; readonly cells: readonly string[] }[];
}

export function crossingTable(report: VersusReport, backend: string, of: Crossing['of']): CrossingTable | undefined {
  const own = report.crossings.filter((one) => one.backend === backend && one.of === of);
  const measures = MEASURES.filter((measure) => own.some((one) => one.measure === measure));
  const rows = report.systems.flatMap(({ name, label }) => {
    if (!own.some(({ against }) => against === name)) return [];
    const cells = measures.map((measure) => {
      const crossing = own.find((one) => one.against === name && one.measure === measure);
      return crossing === undefined ? '' : crossingText(crossing);
    });
    return [{ label, cells }];
  });
  return rows.length === 0 ? undefined : { of, measures, rows };
}

export const CROSSING_TITLES: Readonly<Record<Crossing['of'], string>> = {
  time: 'Where Mamba takes less time',
  memory: 'Where Mamba takes less memory',
};

/** What the cells of both tables mean. */
export const CROSSING_LEGEND =
  'from: the length from which Mamba takes less; the factor is what the other takes over what Mamba takes, at the longest length of both';

function crossingText({ less, from, ratio }: Crossing): string {
  const factor = `${digits(ratio)}×`;
  if (less === 'always') return `always: ${factor}`;
  if (less === 'from') return `from ${formatLength(Math.round(from!))}: ${factor}`;
  return Math.abs(ratio - 1) < 5e-3 ? 'level' : `no: ${factor}`;
}

/** `16,384` */
export function formatLength(length: number): string {
  return String(length).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** The rows of generation, by prompt and batch, with what one model does over the other. */
export interface GenerationTable {
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
