/**
 * The plots, as SVG drawn by Observable Plot into any document: linkedom's for a file, the browser's own on the web
 * page. Colours are CSS variables, so that one drawing serves light, dark and paper.
 */
import * as Plot from '@observablehq/plot';
import { SUITE_NAMES } from '../../cases/contract.ts';
import type { Result } from '../../schema/report.ts';
import { digits, formatBytes, formatCount, formatSeconds } from '../format.ts';
import { HALO, power, roundBytes, roundTimes, STYLE } from './axes.ts';
import { measuredOf, type Series } from './series.ts';
import { caseLabel } from './tables.ts';

export interface Chart {
  readonly title: string;
  readonly caption: string;
  readonly element: Element;
  /** The legend, where the plot has no labels beside its lines. */
  readonly legend?: readonly Series[];
}

const WIDTH = 760;

/** Returns every plot that these results give; none is empty. */
export function chartsOf(series: readonly Series[], document: Document): Record<string, Chart[]> {
  const charts: Record<string, (Chart | undefined)[]> = {
    overview: [sideBySide(series, document)],
    scan: [overLength(series, 'scan', TIME, document), statesChart(series, document)],
    conv: [overLength(series, 'conv', TIME, document)],
    train: [overLength(series, 'train', TIME, document), overLength(series, 'train', MEMORY, document)],
    batch: [throughputOverBatch(series, document)],
    limits: [shareOfLimit(series, document)],
    peers: [peersChart(series, document)],
  };
  return Object.fromEntries(
    Object.entries(charts).map(([name, found]) => [name, found.filter((chart) => chart !== undefined)]),
  );
}

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

const TIME: Quantity = {
  of: undefined,
  title: 'Time over length',
  axis: '↑ time of a call',
  spread: ' Bands span the 10th to the 90th percentile.',
  format: formatSeconds,
  spanOf: ({ time }) => ({ y: time!.median, low: time!.p10, high: time!.p90 }),
  ticks: (points) => roundTimes(points.flatMap(({ low, high }) => [low, high])),
};

const MEMORY: Quantity = {
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
function overLength(
  series: readonly Series[],
  suite: string,
  { of, title, axis, spread, format, spanOf, ticks }: Quantity,
  document: Document,
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
  const ends = spreadLabels(
    lines.map(({ series: one, points: own, slope }) => ({
      point: own.at(-1)!,
      text: `${one.label}${slope === undefined ? '' : `  slope ${slope.toFixed(2)}`}`,
    })),
    points,
  );
  const element = plot(document, {
    height: 420,
    marginTop: 30,
    marginLeft: 62,
    marginRight: 190,
    marginBottom: 42,
    x: { type: 'log', base: 2, label: 'length', labelAnchor: 'center', tickFormat: power, ticks: 8, grid: false },
    y: {
      type: 'log',
      // A logarithmic axis labels what is round in its base.
      base: of === 'memory' ? 2 : 10,
      label: axis,
      ticks: ticks(points),
      tickFormat: (value: number) => format(value).replace(/\.0+(?= )/, ''),
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
      Plot.text(ends, {
        x: 'x',
        y: 'y',
        text: 'text',
        fill: 'color',
        textAnchor: 'start',
        dx: 10,
        fontWeight: 600,
        ...HALO,
      }),
    ],
  });
  return {
    title: `${title}: ${SWEPT[suite]}`,
    caption: `Both axes logarithmic; a slope of 1 is linear in length.${spread}`,
    element,
  };
}

/** The scan over d_state, where that was swept. */
function statesChart(series: readonly Series[], document: Document): Chart | undefined {
  const points = series.flatMap((one) =>
    measuredOf(one)
      .filter(({ suite, shape }) => suite === 'scan' && shape.length === 2048 && shape.batch === 1)
      .map(({ shape, rate }) => ({ x: shape.state!, y: rate!.perSecond, color: one.color, label: one.label })),
  );
  if (new Set(points.map(({ x }) => x)).size < 3) return undefined;
  return {
    title: 'Throughput over states',
    caption: 'Selective scan, length 2048: state steps a second as d_state grows.',
    element: plot(document, {
      height: 300,
      marginLeft: 62,
      marginRight: 130,
      x: { type: 'log', base: 2, label: 'd_state', labelAnchor: 'center', tickFormat: String },
      y: { label: '↑ state steps a second', tickFormat: formatCount, grid: true, zero: true },
      marks: [...linesOf(points), ...endLabels(points)],
    }),
  };
}

function throughputOverBatch(series: readonly Series[], document: Document): Chart | undefined {
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
    element: plot(document, {
      height: 340,
      marginLeft: 62,
      marginRight: 130,
      marginBottom: 42,
      x: {
        type: 'log',
        base: 2,
        label: 'sequences',
        labelAnchor: 'center',
        tickFormat: String,
        ticks: [...new Set(points.map(({ x }) => x))],
      },
      y: { label: '↑ tokens a second', grid: true, zero: true, tickFormat: formatCount },
      marks: [...linesOf(points), ...endLabels(points)],
    }),
  };
}

/** The share of the machine's limit that each measurement reached. */
function shareOfLimit(series: readonly Series[], document: Document): Chart | undefined {
  const points = series.flatMap((one) =>
    measuredOf(one).flatMap((result) => {
      const { suite, case: id, ceiling, dtype } = result;
      if (ceiling === undefined) return [];
      const label = `${caseLabel({ case: id })}${suite === 'quantised' ? `, ${dtype}` : ''}`;
      const bound = ceiling.id.includes('operations') ? 'arithmetic' : 'memory';
      const title = `${one.label}, ${label}: ${(ceiling.share * 100).toFixed(0)} % of what the ${bound} allows`;
      const { length = 0 } = result.shape;
      return [{ suite, label, length, share: ceiling.share * 100, bound, color: one.color, title, series: one }];
    }),
  );
  if (points.length === 0) return undefined;
  const rows = new Set(points.map(({ suite, label }) => `${suite} ${label}`)).size;
  const most = Math.max(105, ...points.map(({ share }) => share));
  const suites: readonly string[] = SUITE_NAMES;
  const place = ({ suite, length }: (typeof points)[number]): number => suites.indexOf(suite) * 1e9 + length;
  // A row for each suite in order, with ascending lengths.
  const order = [
    ...new Set(points.toSorted((a, b) => place(a) - place(b)).map(({ suite, label }) => `${suite}: ${label}`)),
  ];
  return {
    title: 'Share of the machine’s limit',
    caption:
      'The least time that the arithmetic (circle) or the memory traffic (square) of a call takes at the measured limits, over the time it took. Beyond 100 %: the data fits in the cache.',
    legend: [...new Set(points.map(({ series: one }) => one))],
    element: plot(document, {
      height: rows * 20 + 60,
      marginLeft: 290,
      marginRight: 30,
      marginTop: 12,
      marginBottom: 40,
      x: { domain: [0, most], label: '% of the limit', labelAnchor: 'center', labelOffset: 34, grid: true },
      y: { domain: order, label: null, tickSize: 0 },
      symbol: { domain: ['arithmetic', 'memory'], range: ['circle', 'square'] },
      marks: [
        Plot.ruleX([100], { stroke: 'currentColor', strokeWidth: 1.5 }),
        Plot.ruleY(points, {
          x1: 0,
          x2: 'share',
          y: ({ suite, label }: (typeof points)[number]) => `${suite}: ${label}`,
          stroke: 'color',
          strokeOpacity: 0.35,
          strokeWidth: 2,
        }),
        Plot.dot(points, {
          x: 'share',
          y: ({ suite, label }: (typeof points)[number]) => `${suite}: ${label}`,
          fill: 'color',
          symbol: 'bound',
          r: 5,
          title: 'title',
        }),
      ],
    }),
  };
}

/** The rates that a user feels, next to each other. */
function sideBySide(series: readonly Series[], document: Document): Chart | undefined {
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
    element: bars(
      points.map((point) => ({
        ...point,
        length: point.rate / best.get(point.facet)!,
        text: point.rate >= 1000 ? formatCount(point.rate) : digits(point.rate),
      })),
      document,
    ),
  };
}

/** A plot of our backends and other projects on the same weights. */
function peersChart(series: readonly Series[], document: Document): Chart | undefined {
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
    element: bars(
      points
        .map((point) => ({
          ...point,
          length: point.rate / most(point.facet.split(',')[0]!),
          text: digits(point.rate),
        }))
        .sort((a, b) => a.facet.localeCompare(b.facet)),
      document,
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

function bars(points: readonly Bar[], document: Document): Element {
  const facets = [...new Set(points.map(({ facet }) => facet))];
  const labels = [...new Set(points.map(({ label }) => label))];
  return plot(document, {
    height: facets.length * (labels.length * 24 + 26) + 26,
    marginBottom: 4,
    marginLeft: 190,
    marginRight: 80,
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
          dx: -185,
          dy: -12,
          fontWeight: 600,
          textAnchor: 'start',
        },
      ),
    ],
  });
}

interface Mark {
  readonly x: number;
  readonly y: number;
  readonly color: string;
  readonly label: string;
}

function linesOf(points: readonly Mark[]): Plot.Markish[] {
  return [
    Plot.lineY(points, { x: 'x', y: 'y', z: 'label', stroke: 'color', strokeWidth: 2, sort: 'x' }),
    Plot.dot(points, {
      x: 'x',
      y: 'y',
      fill: 'color',
      r: 3.5,
      title: ({ label, x, y }: Mark) => `${label}, ${x}: ${formatCount(y)}`,
    }),
  ];
}

function endLabels(points: readonly Mark[]): Plot.Markish[] {
  const last = new Map<string, Mark>();
  for (const point of points) if ((last.get(point.label)?.x ?? 0) <= point.x) last.set(point.label, point);
  const options = {
    x: 'x',
    y: 'y',
    text: 'label',
    fill: 'color',
    textAnchor: 'start',
    dx: 10,
    fontWeight: 600,
    ...HALO,
  } as const;
  return [Plot.text([...last.values()], options)];
}

function plot(document: Document, options: Plot.PlotOptions): Element {
  return Plot.plot({ document, width: WIDTH, style: STYLE, className: 'plot', ...options });
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

/** Labels at the ends of lines, moved apart where they would overlap: a label's height is 4 % of the axis. */
function spreadLabels(ends: readonly { point: Point; text: string }[], points: readonly Point[]) {
  const logs = points.flatMap(({ low, high }) => [Math.log(low), Math.log(high)]);
  const gap = (Math.max(...logs) - Math.min(...logs)) * 0.045;
  let floor = Number.NEGATIVE_INFINITY;
  return ends
    .toSorted((a, b) => a.point.y - b.point.y)
    .map(({ point, text }) => {
      floor = Math.max(Math.log(point.y), floor + gap);
      return { x: point.x, y: Math.exp(floor), text, color: point.series.color };
    });
}
