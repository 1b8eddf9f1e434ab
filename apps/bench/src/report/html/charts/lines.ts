/** Lines with a label at each end. */
import * as Plot from '@observablehq/plot';
import { HALO } from '../axes.ts';
import { type Canvas, type LegendItem, labelRoom } from './canvas.ts';

export interface Mark {
  readonly x: number;
  readonly y: number;
  readonly color: string;
  readonly label: string;
  /** Computed, not measured: it is dashed and has no points. */
  readonly computed?: boolean;
}

/** The margins of a plot of lines. */
export function frameOf(points: readonly Mark[], canvas: Canvas) {
  return { marginTop: 26, marginLeft: 62, marginRight: labelRoom(canvas, points), marginBottom: 42 };
}

/** A logarithmic axis with a tick for each x that was measured. */
export function measuredAt(points: readonly Mark[], label: string, tickFormat: (x: number) => string) {
  const ticks = [...new Set(points.map(({ x }) => x))];
  return { type: 'log', base: 2, label, labelAnchor: 'center', ticks, tickFormat } as const;
}

export function linesOf(points: readonly Mark[], format: (value: number) => string): Plot.Markish[] {
  const measured = points.filter(({ computed }) => computed !== true);
  const line = { x: 'x', y: 'y', z: 'label', stroke: 'color', strokeWidth: 2, sort: 'x' } as const;
  return [
    Plot.lineY(measured, line),
    Plot.lineY(
      points.filter(({ computed }) => computed === true),
      { ...line, strokeDasharray: '6 4' },
    ),
    Plot.dot(measured, {
      x: 'x',
      y: 'y',
      fill: 'color',
      r: 3.5,
      title: ({ label, x, y }: Mark) => `${label}, ${x.toLocaleString('en')}: ${format(y)}`,
    }),
  ];
}

/** Labels beside the ends of these lines, on an axis that begins at zero or is logarithmic. */
export function endLabels(points: readonly Mark[], logarithmic: boolean, canvas: Canvas): Plot.Markish[] {
  const last = new Map<string, Mark>();
  for (const point of points) if ((last.get(point.label)?.x ?? 0) <= point.x) last.set(point.label, point);
  const values = points.map(({ y }) => y);
  return labelsAt([...last.values()], { values: logarithmic ? values : [0, ...values], logarithmic }, canvas);
}

/** The values that an axis spans. */
interface Axis {
  readonly values: readonly number[];
  readonly logarithmic: boolean;
}

/**
 * Labels beside points, moved apart where they would overlap: a label's height is some 5 % of the axis. There are none
 * on a narrow canvas, whose legend has them.
 */
export function labelsAt(ends: readonly Mark[], { values, logarithmic }: Axis, { narrow }: Canvas): Plot.Markish[] {
  if (narrow) return [];
  const [to, from] = logarithmic ? [Math.log, Math.exp] : [Number, Number];
  const places = values.map(to);
  const gap = (Math.max(...places) - Math.min(...places)) * 0.055;
  let floor = Number.NEGATIVE_INFINITY;
  const apart = ends
    .toSorted((a, b) => a.y - b.y)
    .map((end) => {
      floor = Math.max(to(end.y), floor + gap);
      return { ...end, y: from(floor) };
    });
  const look = { fill: 'color', textAnchor: 'start', dx: 10, fontWeight: 600, ...HALO } as const;
  return [Plot.text(apart, { x: 'x', y: 'y', text: 'label', ...look })];
}

export function legendOf(marks: readonly LegendItem[]): readonly LegendItem[] {
  return [...new Map(marks.map(({ label, color }) => [label, { label, color }])).values()];
}
