/** What was reached of what the machine can do. */
import * as Plot from '@observablehq/plot';
import { SUITE_NAMES } from '../../../cases/contract.ts';
import { HALO } from '../axes.ts';
import { measuredOf, type Series } from '../series.ts';
import { caseLabel } from '../tables.ts';
import { type Chart, plot } from './canvas.ts';

/** The share of the machine's limit that each measurement reached. */
export function shareOfLimit(series: readonly Series[]): Chart | undefined {
  const points = series.flatMap((one) =>
    measuredOf(one).flatMap((result) => {
      const { suite, case: id, ceiling, dtype } = result;
      if (ceiling === undefined) return [];
      const label = `${caseLabel({ case: id })}${suite === 'quantised' ? `, ${dtype}` : ''}`;
      const bound = ceiling.id.includes('operations') ? 'arithmetic' : 'memory';
      const title = `${one.label}, ${label}: ${(ceiling.share * 100).toFixed(0)} % of what the ${bound} allows`;
      const { length = 0 } = result.shape;
      const row = `${suite}: ${label}`;
      return [{ suite, row, length, share: ceiling.share * 100, bound, color: one.color, title, series: one }];
    }),
  );
  if (points.length === 0) return undefined;
  const most = Math.max(105, ...points.map(({ share }) => share));
  const suites: readonly string[] = SUITE_NAMES;
  const place = ({ suite, length }: (typeof points)[number]): number => suites.indexOf(suite) * 1e9 + length;
  // A row for each suite in order, with ascending lengths.
  const order = [...new Set(points.toSorted((a, b) => place(a) - place(b)).map(({ row }) => row))];
  const rows = order.length;
  return {
    title: 'Share of the machine’s limit',
    caption:
      'The least time that the arithmetic (circle) or the memory traffic (square) of a call takes at the measured ' +
      'limits, over the time it took. Beyond 100 %: the data fits in the cache.',
    legend: { items: [...new Set(points.map(({ series: one }) => one))], always: true },
    // A narrow drawing has each label above its line.
    draw: (canvas) =>
      plot(canvas, {
        height: rows * (canvas.narrow ? 36 : 20) + 60,
        marginLeft: canvas.narrow ? 8 : 290,
        marginRight: canvas.narrow ? 14 : 30,
        marginTop: canvas.narrow ? 22 : 12,
        marginBottom: 40,
        x: { domain: [0, most], label: '% of the limit', labelAnchor: 'center', labelOffset: 34, grid: true },
        y: { domain: order, label: null, tickSize: 0, ...(canvas.narrow && { axis: null }) },
        symbol: { domain: ['arithmetic', 'memory'], range: ['circle', 'square'] },
        marks: [
          Plot.ruleX([100], { stroke: 'currentColor', strokeWidth: 1.5 }),
          Plot.ruleY(points, {
            x1: 0,
            x2: 'share',
            y: 'row',
            stroke: 'color',
            strokeOpacity: 0.35,
            strokeWidth: 2,
          }),
          Plot.dot(points, { x: 'share', y: 'row', fill: 'color', symbol: 'bound', r: 5, title: 'title' }),
          ...(canvas.narrow
            ? [
                Plot.text(order, {
                  x: 0,
                  y: String,
                  text: String,
                  textAnchor: 'start',
                  dy: -14,
                  fill: 'currentColor',
                  ...HALO,
                }),
              ]
            : []),
        ],
      }),
  };
}
