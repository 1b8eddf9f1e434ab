/** What was read before a token: its time and the model's state, beside the cache of a Transformer. */
import { modelConfig } from '@mamba/core';
import { cacheBytesPerToken } from '../../../versus/cache.ts';
import { formatBytes, formatSeconds } from '../../format.ts';
import { power, round, roundBytes } from '../axes.ts';
import { measuredOf, type Series } from '../series.ts';
import { type Chart, plot } from './canvas.ts';
import { endLabels, frameOf, legendOf, linesOf, type Mark, measuredAt } from './lines.ts';

const CACHE = 'a Transformer’s cache, computed';

/** Decode after each length; undefined where fewer than two were measured. */
export function timeAfterContext(series: readonly Series[]): Chart | undefined {
  const points = pointsOf(series, ({ time, shape }) => time!.median / shape.length!);
  if (points.length === 0) return undefined;
  return {
    title: 'Time a token',
    caption: 'Level where a token takes as long after many tokens as after few. The axis of time begins at zero.',
    legend: { items: legendOf(points) },
    draw: (canvas) =>
      plot(canvas, {
        ...frameOf(points, canvas),
        height: canvas.narrow ? 230 : 280,
        x: measuredAt(points, 'tokens read before', power),
        y: {
          label: '↑ time a token',
          grid: true,
          zero: true,
          ticks: 5,
          tickFormat: (value: number) => (value === 0 ? '0' : round(formatSeconds(value))),
        },
        marks: [...linesOf(points, formatSeconds), ...endLabels(points, false, canvas)],
      }),
  };
}

/** The bytes of the state after each length, and those that keys and values would take. */
export function memoryAfterContext(series: readonly Series[]): Chart | undefined {
  const states = pointsOf(series, ({ memory }) => memory?.state);
  if (states.length === 0) return undefined;
  const [{ result }] = contextsOf(series) as [Context, ...Context[]];
  const { layers, dModel, vocabSize } = result.shape;
  const config = modelConfig({ layers: layers!, dModel: dModel!, vocabSize: vocabSize! });
  const perToken = cacheBytesPerToken(config);
  const cache = states
    .map(({ x }) => x)
    .map((x): Mark => ({ x, y: x * perToken, color: 'var(--quiet)', label: CACHE, computed: true }));
  const points = [...states, ...cache];
  return {
    title: 'Memory of what was read',
    caption:
      'The state of this model, and the keys and values in float32 of a Transformer with as many weights: ' +
      `${formatBytes(perToken)} a token, which is computed and was not measured.`,
    legend: { items: legendOf(points) },
    draw: (canvas) =>
      plot(canvas, {
        ...frameOf(points, canvas),
        height: canvas.narrow ? 230 : 280,
        x: measuredAt(points, 'tokens read before', power),
        y: {
          type: 'log',
          base: 2,
          label: '↑ memory',
          grid: true,
          ticks: roundBytes(points.map(({ y }) => y)).filter((_, index) => index % 2 === 0),
          tickFormat: (value: number) => round(formatBytes(value)),
        },
        marks: [...linesOf(points, formatBytes), ...endLabels(points, true, canvas)],
      }),
  };
}

interface Context {
  readonly result: ReturnType<typeof measuredOf>[number];
  readonly one: Series;
}

function contextsOf(series: readonly Series[]): readonly Context[] {
  const all = series.flatMap((one) =>
    measuredOf(one)
      .filter(({ suite, shape }) => suite === 'context' && shape.context !== undefined)
      .map((result) => ({ result, one })),
  );
  // A line has two points. Slow backends would flatten the others.
  const lines = all.filter(({ one }) => all.filter((other) => other.one === one).length > 1);
  const fast = lines.filter(({ one }) => one.slow === undefined);
  return fast.length > 0 ? fast : lines;
}

function pointsOf(
  series: readonly Series[],
  quantityOf: (result: Context['result']) => number | undefined,
): readonly Mark[] {
  return contextsOf(series).flatMap(({ result, one: { color, label } }) => {
    const y = quantityOf(result);
    return y === undefined ? [] : [{ x: result.shape.context!, y, color, label }];
  });
}
