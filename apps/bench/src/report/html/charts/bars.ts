/** Backends side by side, and beside other projects. */
import * as Plot from '@observablehq/plot';
import { digits, formatCount } from '../../format.ts';
import { measuredOf, type Series } from '../series.ts';
import { type Chart, plot, textRoom } from './canvas.ts';

/** The rates that a user feels, next to each other. */
export function sideBySide(series: readonly Series[]): Chart | undefined {
  const wanted: [RegExp, string][] = [
    [/^model\/decode-\d+-layers-24$/, 'decode, tokens/s'],
    [/^model\/prefill-\d+-layers-24$/, 'prefill, tokens/s'],
    [/^block\/length-512$/, 'one block, tokens/s'],
    [/^scan\/length-131072$/, 'scan of 2^17, state steps/s'],
    [/^train\/heads-8x256$/, 'training a small model, tokens/s'],
  ];
  const points = wanted.flatMap(([pattern, facet]) => {
    const found = series
      .filter(({ slow }) => slow === undefined)
      .flatMap((one) =>
        measuredOf(one)
          .filter(({ case: id, dtype }) => pattern.test(id) && dtype === 'float32')
          .map(({ rate }) => ({ facet, label: one.label, rate: rate!.perSecond, color: one.color })),
      );
    // A single bar has nothing to be compared with.
    return found.length < 2 ? [] : found;
  });
  if (new Set(points.map(({ label }) => label)).size < 2) return undefined;
  const best = new Map<string, number>();
  for (const { facet, rate } of points) best.set(facet, Math.max(best.get(facet) ?? 0, rate));
  return {
    title: 'Side by side',
    caption: 'Longer is faster; each group is drawn to its own fastest.',
    draw: bars(
      points.map((point) => ({
        ...point,
        length: point.rate / best.get(point.facet)!,
        text: point.rate >= 1000 ? formatCount(point.rate) : digits(point.rate),
      })),
    ),
  };
}

/** A plot of our backends and other projects on the same weights. */
export function peersChart(series: readonly Series[]): Chart | undefined {
  const points = series.flatMap((one) =>
    measuredOf(one)
      .filter(({ suite }) => suite === 'peers')
      .map(({ case: id, dtype, rate }) => {
        const facet = `${/prefill/.test(id) ? 'prefill' : 'decode'}, ${dtype}`;
        return { facet, label: one.label, rate: rate!.perSecond, color: one.color };
      }),
  );
  if (points.length === 0) return undefined;
  const most = (kind: string): number =>
    Math.max(...points.filter(({ facet }) => facet.startsWith(kind)).map(({ rate }) => rate));
  return {
    title: 'Beside other projects: tokens a second',
    caption: 'The same weights in the same run, taking turns. Longer is faster; prefill and decode have a scale each.',
    draw: bars(
      points
        .map((point) => ({
          ...point,
          length: point.rate / most(point.facet.split(',')[0]!),
          text: digits(point.rate),
        }))
        .sort((a, b) => a.facet.localeCompare(b.facet)),
    ),
  };
}

interface Bar {
  readonly facet: string;
  readonly label: string;
  readonly color: string;
  /** The share of the whole width. */
  readonly length: number;
  readonly text: string;
}

function bars(points: readonly Bar[]): Chart['draw'] {
  const facets = [...new Set(points.map(({ facet }) => facet))];
  const labels = [...new Set(points.map(({ label }) => label))];
  // Two texts share a narrow width with the bars.
  const room = textRoom(labels) + 12;
  return (canvas) =>
    plot(canvas, {
      height: facets.length * (labels.length * 24 + 26) + 26,
      marginBottom: 4,
      marginLeft: room,
      marginRight: 70,
      marginTop: 22,
      x: { axis: null, domain: [0, 1] },
      y: { domain: labels, label: null, tickSize: 0, padding: 0.2 },
      fy: { domain: facets, axis: null, padding: 0.22 },
      marks: [
        Plot.barX(points, { x: 'length', y: 'label', fy: 'facet', fill: 'color', rx2: 3 }),
        Plot.text(points, { x: 'length', y: 'label', fy: 'facet', text: 'text', textAnchor: 'start', dx: 6 }),
        Plot.text(
          facets.map((facet) => ({ facet })),
          {
            fy: 'facet',
            text: 'facet',
            frameAnchor: 'top-left',
            dx: 6 - room,
            dy: -12,
            fontWeight: 600,
            textAnchor: 'start',
          },
        ),
      ],
    });
}
