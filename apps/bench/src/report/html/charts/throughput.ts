/** Rates over states of the scan, and over sequences that are written at once. */
import { formatCount } from '../../format.ts';
import { measuredOf, type Series } from '../series.ts';
import { type Chart, plot } from './canvas.ts';
import { endLabels, frameOf, legendOf, linesOf, type Mark, measuredAt } from './lines.ts';

/** The scan over d_state, where that was swept. */
export function rateOverStates(series: readonly Series[]): Chart | undefined {
  const points = series.flatMap((one) =>
    measuredOf(one)
      .filter(({ suite, shape }) => suite === 'scan' && shape.length === 2048 && shape.batch === 1)
      .map(({ shape, rate }) => ({ x: shape.state!, y: rate!.perSecond, color: one.color, label: one.label })),
  );
  if (new Set(points.map(({ x }) => x)).size < 3) return undefined;
  return {
    title: 'Throughput over states',
    caption: 'Selective scan, length 2048: state steps a second as d_state grows.',
    ...ratesOver(points, 'd_state', 'state steps a second'),
  };
}

export function rateOverBatch(series: readonly Series[]): Chart | undefined {
  const points = series
    .filter(({ slow }) => slow === undefined)
    .flatMap((one) =>
      measuredOf(one)
        .filter(({ suite }) => suite === 'batch')
        .map(({ shape, rate }) => ({ x: shape.batch!, y: rate!.perSecond, color: one.color, label: one.label })),
    )
    .sort((a, b) => a.x - b.x);
  if (new Set(points.map(({ x }) => x)).size < 2) return undefined;
  return {
    title: 'Throughput over batch: decode',
    caption: 'Tokens a second of all sequences together. A step reads the weights once for all of them.',
    ...ratesOver(points, 'sequences', 'tokens a second'),
  };
}

function ratesOver(points: readonly Mark[], x: string, y: string): Pick<Chart, 'legend' | 'draw'> {
  return {
    legend: { items: legendOf(points) },
    draw: (canvas) =>
      plot(canvas, {
        ...frameOf(points, canvas),
        height: canvas.narrow ? 260 : 320,
        x: measuredAt(points, x, String),
        y: { label: `↑ ${y}`, grid: true, zero: true, tickFormat: formatCount },
        marks: [...linesOf(points, formatCount), ...endLabels(points, false, canvas)],
      }),
  };
}
