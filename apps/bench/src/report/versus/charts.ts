/**
 * The plots of a comparison, drawn by Observable Plot into any document: a curve for each system over length, both axes
 * logarithmic, labels at the curves' ends, a ring where Mamba begins to need less, and what was refused or left out.
 */
import * as Plot from '@observablehq/plot';
import type { Measure, SystemRecord, VersusPoint, VersusReport } from '../../schema/versus.ts';
import { BASELINE, SYSTEMS } from '../../versus/systems.ts';
import { HALO, power, round, roundBytes, roundTimes, STYLE } from '../html/axes.ts';
import { figureOf, formatLength, formatQuantity, type Quantity } from './matrix.ts';

export interface VersusChart {
  readonly element: SVGElement;
  /** Every mark that can be read, with its place in the plot, in pixels. */
  readonly marks: readonly ChartMark[];
}

export interface ChartMark {
  readonly system: string;
  readonly label: string;
  readonly length: number;
  readonly x: number;
  readonly y: number;
  readonly color: string;
  /** `Mamba, 4 096 tokens: 1.20 ms`. */
  readonly text: string;
}

interface Curve {
  readonly system: SystemRecord;
  readonly color: string;
  readonly symbol: (typeof SYMBOLS)[number];
  readonly points: readonly Value[];
}

interface Value {
  readonly point: VersusPoint;
  readonly x: number;
  readonly y: number;
  /** Not measured: what it would take. */
  readonly guessed: boolean;
}

/** Shapes tell curves apart without their colours. */
const SYMBOLS = ['circle', 'square', 'triangle', 'diamond', 'star', 'cross', 'wye'] as const;
/** Colours that the page's style sheet defines, for both schemes and for paper. */
const COLORS = 15;
/** Beyond so many times what was measured, what would be needed is not drawn. */
const BEYOND = 64;
const LABEL_SPACE = 106;
/** Pixels from label to label. */
const LABEL_HEIGHT = 14;

/** The place of a system in the table, whatever else is drawn: its colour and its symbol. */
function placeOf(report: VersusReport, system: string): number {
  const place = SYSTEMS.findIndex(({ name }) => name === system);
  // A result of another version may have systems that this one does not know.
  return place >= 0 ? place : SYSTEMS.length + report.systems.findIndex(({ name }) => name === system);
}

function colorOf(report: VersusReport, system: string): string {
  return `var(--versus-${(placeOf(report, system) % COLORS) + 1})`;
}

export interface ChartRequest {
  readonly backend: string;
  readonly measure: Measure;
  readonly quantity: Quantity;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
}

/** Undefined where nothing was measured. */
export function versusChart(report: VersusReport, request: ChartRequest, document: Document): VersusChart | undefined {
  const { backend, measure, quantity, width, height } = request;
  const curves = curvesOf(report, request);
  const measured = curves.flatMap(({ points }) => points.filter(({ guessed }) => !guessed));
  if (measured.length === 0) return undefined;
  const values = measured.map(({ y }) => y);
  // What would be needed is drawn as far as it does not crowd what was measured.
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const shown = curves.map((curve) => ({
    ...curve,
    points: curve.points.filter(({ guessed, y }) => !guessed || (y < high * BEYOND && y > low / BEYOND)),
  }));
  const all = shown.flatMap(({ points }) => points.map(({ y }) => y));
  const domain = [Math.min(...all) / 1.25, Math.max(...all) * 1.25] as const;
  const { lengths } = report.settings;
  const ticks = quantity === 'memory' ? roundBytes(domain) : roundTimes(domain);
  const limit = limitOf(report, request);
  const crossings = report.crossings.filter(
    (one) =>
      one.backend === backend &&
      one.measure === measure &&
      one.of === (quantity === 'memory' ? 'memory' : 'time') &&
      one.less === 'from',
  );
  const baseline = shown.find(({ system }) => system.name === BASELINE);
  const rings = crossings.flatMap(({ from, against }) => {
    const y = baseline && valueAt(baseline.points, from!);
    return y === undefined ? [] : [{ x: from!, y, color: colorOf(report, against) }];
  });
  const scales = { marginTop: 14, marginLeft: 58, marginRight: LABEL_SPACE, marginBottom: 40 };
  const labels = labelsOf(shown, { domain, height: height - scales.marginTop - scales.marginBottom });
  const element = Plot.plot({
    document,
    width,
    height,
    style: STYLE,
    className: 'plot',
    ...scales,
    x: {
      type: 'log',
      base: 2,
      domain: [lengths[0]!, Math.max(lengths.at(-1)!, lengths[0]! * 2)],
      label: measure === 'step' ? 'tokens before' : 'tokens',
      labelAnchor: 'center',
      labelOffset: 36,
      ticks: fewer(lengths, width),
      tickFormat: power,
    },
    y: {
      type: 'log',
      // A logarithmic axis labels what is round in its base.
      base: quantity === 'memory' ? 2 : 10,
      domain: [...domain],
      label: null,
      ticks,
      tickFormat: (value: number) => round(formatQuantity(value, quantity)),
      grid: true,
    },
    symbol: { type: 'identity' },
    marks: [
      ...(limit !== undefined && limit < domain[1] && quantity === 'memory'
        ? [
            Plot.ruleY([limit], { stroke: 'var(--quiet)', strokeDasharray: '2 3' }),
            Plot.text([limit], {
              y: (bytes: number) => bytes,
              text: () => `${formatQuantity(limit, 'memory')} here`,
              frameAnchor: 'left',
              textAnchor: 'start',
              dx: 4,
              dy: -7,
              fill: 'var(--quiet)',
              ...HALO,
            }),
          ]
        : []),
      ...shown.flatMap(({ system, color, points }) => {
        const className = classOf(system);
        const thick = system.name === BASELINE ? 3 : 1.75;
        const dashes = system.grows === 'quadratic' ? { strokeDasharray: '7 3' } : {};
        const sure = points.filter(({ guessed }) => !guessed);
        const beyond = points.filter(({ guessed }, index) => guessed || points[index + 1]?.guessed === true);
        return [
          Plot.lineY(beyond, { x: 'x', y: 'y', stroke: color, strokeWidth: 1.25, strokeDasharray: '1.5 3', className }),
          Plot.lineY(sure, { x: 'x', y: 'y', stroke: color, strokeWidth: thick, className, ...dashes }),
        ];
      }),
      Plot.ruleX(rings, {
        x: 'x',
        y1: domain[0],
        y2: 'y',
        stroke: 'color',
        strokeOpacity: 0.6,
        strokeDasharray: '2 3',
      }),
      ...shown.flatMap(({ system, color, symbol, points }) => [
        Plot.dot(
          points.filter(({ guessed }) => !guessed),
          { x: 'x', y: 'y', fill: color, symbol, r: 3.5, className: classOf(system) },
        ),
        Plot.dot(
          points.filter(({ guessed }) => guessed),
          { x: 'x', y: 'y', stroke: color, fill: 'var(--card)', symbol, r: 3.5, className: classOf(system) },
        ),
      ]),
      Plot.dot(rings, { x: 'x', y: 'y', stroke: 'color', strokeWidth: 2, r: 6.5, fill: 'none' }),
    ],
  }) as SVGElement & Plot.Plot;
  const [x, y] = [element.scale('x')!, element.scale('y')!];
  const { marginLeft: left, marginTop: top } = scales;
  addLabels(element, labels, { left, right: width - LABEL_SPACE, top, x: (length) => x.apply(length) });
  const marks = shown.flatMap(({ system, color, points }) =>
    points.map((value): ChartMark => {
      const { label } = system;
      const place = `${formatLength(value.x)} ${measure === 'step' ? 'tokens before' : 'tokens'}`;
      const text = `${label}, ${place}: ${describeValue(value, quantity)}`;
      const { length } = value.point;
      return { system: system.name, label, length, color, x: x.apply(value.x), y: y.apply(value.y), text };
    }),
  );
  return { element, marks };
}

function describeValue({ point, y, guessed }: Value, quantity: Quantity): string {
  const value = formatQuantity(y, quantity);
  if (!guessed) return value;
  return point.status === 'refused'
    ? `refused, since it would take ${value}`
    : `left out, since it would take ${value}`;
}

function curvesOf(report: VersusReport, { backend, measure, quantity }: ChartRequest): Curve[] {
  return report.systems.flatMap((system): Curve[] => {
    const points = report.points
      .filter((point) => point.system === system.name && point.backend === backend && point.measure === measure)
      .flatMap((point): Value[] => {
        const measured = figureOf(point, quantity);
        const guess = measured ?? guessOf(point, quantity, report);
        return guess === undefined || !(guess > 0)
          ? []
          : [{ point, x: point.length, y: guess, guessed: measured === undefined }];
      })
      .toSorted((a, b) => a.x - b.x);
    if (points.length === 0) return [];
    const symbol = SYMBOLS[placeOf(report, system.name) % SYMBOLS.length]!;
    return [{ system, color: colorOf(report, system.name), symbol, points }];
  });
}

/** What a length that was not measured would have taken, where that is known. */
function guessOf({ refused, expected, length }: VersusPoint, quantity: Quantity, report: VersusReport) {
  if (quantity === 'memory') return refused?.bytes;
  if (expected === undefined) return undefined;
  return quantity === 'time' ? expected : (report.settings.batch * length) / expected;
}

/** The limit of memory that calls were refused for. */
function limitOf(report: VersusReport, { backend, measure }: ChartRequest): number | undefined {
  return report.points.find((point) => point.backend === backend && point.measure === measure && point.refused)?.refused
    ?.limit;
}

/** The value of a curve between its points, on the line of a log-log plot. */
function valueAt(points: readonly Value[], x: number): number | undefined {
  const after = points.findIndex((point) => point.x >= x);
  if (after <= 0) return points[after]?.x === x ? points[after]!.y : undefined;
  const [a, b] = [points[after - 1]!, points[after]!];
  const share = Math.log(x / a.x) / Math.log(b.x / a.x);
  return a.y * (b.y / a.y) ** share;
}

interface Label {
  readonly curve: Curve;
  /** The height of the curve's end, and that of the label, in pixels below the top of the frame. */
  readonly end: number;
  at: number;
}

/** Labels beside the frame in the order of the curves' ends, moved apart where they would overlap. */
function labelsOf(
  curves: readonly Curve[],
  { domain, height }: { readonly domain: readonly [number, number]; readonly height: number },
): readonly Label[] {
  const [low, high] = domain.map(Math.log) as [number, number];
  const labels = curves
    .map((curve): Label => {
      const end = ((high - Math.log(curve.points.at(-1)!.y)) / (high - low)) * height;
      return { curve, end, at: end };
    })
    .sort((a, b) => a.at - b.at);
  for (let index = 1; index < labels.length; index++)
    labels[index]!.at = Math.max(labels[index]!.at, labels[index - 1]!.at + LABEL_HEIGHT);
  for (let index = labels.length - 1, floor = height; index >= 0; index--, floor -= LABEL_HEIGHT)
    labels[index]!.at = Math.min(labels[index]!.at, floor);
  return labels;
}

/** Writes the labels, each joined to its curve's end. */
function addLabels(
  svg: SVGElement,
  labels: readonly Label[],
  { left, right, top, x }: { left: number; right: number; top: number; x(length: number): number },
): void {
  for (const { curve, end, at } of labels) {
    const { system, color, points } = curve;
    const group = svg.ownerDocument.createElementNS(SVG, 'g');
    group.setAttribute('class', classOf(system));
    const add = (name: string, attributes: Readonly<Record<string, string | number>>): Element => {
      const element = svg.ownerDocument.createElementNS(SVG, name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
      group.append(element);
      return element;
    };
    const from = Math.max(x(points.at(-1)!.x), left) + 5;
    const path = `M${from},${top + end}L${right + 5},${top + (from < right ? at : end)}L${right + 12},${top + at}`;
    add('path', { d: path, fill: 'none', style: `stroke: ${color}`, 'stroke-width': 1, 'stroke-opacity': 0.45 });
    const weight = system.name === BASELINE ? 800 : 600;
    const text = { x: right + 15, y: top + at, dy: '0.35em', 'text-anchor': 'start', 'font-weight': weight };
    add('text', { ...text, style: `fill: ${color}` }).textContent = system.short ?? system.label;
    svg.append(group);
  }
}

const SVG = 'http://www.w3.org/2000/svg';

/** The class of all that is drawn of a system. */
function classOf({ name }: Pick<SystemRecord, 'name'>): string {
  return `curve curve-${name}`;
}

/** Returns as many lengths as have room for their ticks, evenly spread, the longest among them. */
function fewer(lengths: readonly number[], width: number): number[] {
  const room = Math.max(2, Math.floor((width - 160) / 34));
  const every = Math.ceil(lengths.length / room);
  return lengths.filter((_, index) => (lengths.length - 1 - index) % every === 0);
}
