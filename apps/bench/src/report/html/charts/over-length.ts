/** Time and memory over length, both axes logarithmic. */
import * as Plot from '@observablehq/plot';
import type { Result } from '../../../schema/report.ts';
import { formatBytes, formatSeconds } from '../../format.ts';
import { power, round, roundBytes, roundTimes } from '../axes.ts';
import { measuredOf, type Series } from '../series.ts';
import { type Chart, labelRoom, plot } from './canvas.ts';
import { labelsAt } from './lines.ts';

interface Point {
  readonly x: number;
  readonly y: number;
  readonly low: number;
  readonly high: number;
  readonly series: Series;
  readonly title: string;
}

/** What grows over length. */
interface Quantity {
  /** As `of` of its slopes. */
  readonly of: 'memory' | undefined;
  readonly title: string;
  readonly axis: string;
  readonly spread: string;
  format(value: number): string;
  /** Absent where a result does not tell. */
  spanOf(result: Result): { readonly y: number; readonly low: number; readonly high: number } | undefined;
  ticks(points: readonly Point[]): number[];
}

export const TIME: Quantity = {
  of: undefined,
  title: 'Time over length',
  axis: '↑ time of a call',
  spread: ' Bands span the 10th to the 90th percentile.',
  format: formatSeconds,
  spanOf: ({ time }) => ({ y: time!.median, low: time!.p10, high: time!.p90 }),
  ticks: (points) => roundTimes(points.flatMap(({ low, high }) => [low, high])),
};

export const MEMORY: Quantity = {
  of: 'memory',
  title: 'Memory over length',
  axis: '↑ live tensors at most',
  spread: '',
  format: formatBytes,
  spanOf: ({ memory }) => (memory?.peak ? { y: memory.peak, low: memory.peak, high: memory.peak } : undefined),
  ticks: (points) => roundBytes(points.map(({ y }) => y)),
};

const SWEPT: Readonly<Record<string, string>> = {
  scan: 'selective scan',
  conv: 'causal convolution',
  train: 'a step of training',
};

/** A log-log plot, with the spread as a band and each line's slope beside its end. */
export function overLength(
  series: readonly Series[],
  suite: string,
  { of, title, axis, spread, format, spanOf, ticks }: Quantity,
): Chart | undefined {
  const lines = series.flatMap((one) => {
    const slope = longestSlope(one, suite, of);
    const points = measuredOf(one)
      .filter(({ suite: name, shape }) => name === suite && sameShape(shape, slope?.shape))
      .flatMap((result): Point[] => {
        const value = spanOf(result);
        const { length } = result.shape;
        if (value === undefined) return [];
        return [{ x: length!, ...value, series: one, title: `${one.label}, length ${length}: ${format(value.y)}` }];
      })
      .sort((a, b) => a.x - b.x);
    return points.length < 2 ? [] : [{ series: one, points, slope: slope?.slope }];
  });
  if (lines.length === 0) return undefined;
  const points = lines.flatMap(({ points: own }) => own);
  const ends = lines.map(({ series: { label, color }, points: own, slope }) => ({
    x: own.at(-1)!.x,
    y: own.at(-1)!.y,
    label: `${label}${slope === undefined ? '' : `  slope ${slope.toFixed(2)}`}`,
    color,
  }));
  return {
    title: `${title}: ${SWEPT[suite]}`,
    caption: `Both axes logarithmic; a slope of 1 is linear in length.${spread}`,
    legend: { items: ends },
    draw: (canvas) =>
      plot(canvas, {
        height: canvas.narrow ? 300 : 420,
        marginTop: 30,
        marginLeft: 62,
        marginRight: labelRoom(canvas, ends),
        marginBottom: 42,
        x: {
          ...{ type: 'log', base: 2, label: 'length', labelAnchor: 'center', grid: false },
          ...{ tickFormat: power, ticks: roundBytes(points.map(({ x }) => x)) },
        },
        y: {
          type: 'log',
          // A logarithmic axis labels what is round in its base.
          base: of === 'memory' ? 2 : 10,
          label: axis,
          ticks: ticks(points),
          tickFormat: (value: number) => round(format(value)),
          grid: true,
        },
        marks: [
          ...lines.map(({ points: own, series: one }) =>
            Plot.areaY(own, { x: 'x', y1: 'low', y2: 'high', fill: one.color, fillOpacity: 0.15 }),
          ),
          ...lines.map(({ points: own, series: one }) =>
            Plot.lineY(own, {
              x: 'x',
              y: 'y',
              stroke: one.color,
              strokeWidth: 2,
              ...(one.slow !== undefined && { strokeDasharray: '4 4' }),
            }),
          ),
          Plot.dot(points, { x: 'x', y: 'y', fill: ({ series: one }: Point) => one.color, r: 3.5, title: 'title' }),
          ...labelsAt(ends, { values: points.flatMap(({ low, high }) => [low, high]), logarithmic: true }, canvas),
        ],
      }),
  };
}

function longestSlope({ report, backend }: Series, suite: string, of: Quantity['of']) {
  return report.slopes
    .filter((slope) => slope.suite === suite && slope.backend === backend.name && slope.over === 'length')
    .filter((slope) => slope.of === of)
    .sort((a, b) => b.points - a.points)[0];
}

/** Version 1 of the schema has no shape: all results count as of one. */
function sameShape(shape: Readonly<Record<string, number>>, common: Readonly<Record<string, number>> | undefined) {
  return Object.entries(common ?? {}).every(([name, value]) => shape[name] === value);
}
