/**
 * The plots, as SVG drawn by Observable Plot. Colours are CSS variables, so that one drawing serves light, dark and
 * paper.
 */
import type { Series } from '../series.ts';
import { peersChart, sideBySide } from './bars.ts';
import type { Chart } from './canvas.ts';
import { memoryAfterContext, timeAfterContext } from './context.ts';
import { shareOfLimit } from './limits.ts';
import { MEMORY, overLength, TIME } from './over-length.ts';
import { rateOverBatch, rateOverStates } from './throughput.ts';

/** Returns every plot that these results give, by the suite or the section that it is of; none is empty. */
export function chartsOf(series: readonly Series[]): Readonly<Record<string, readonly Chart[]>> {
  const charts: Record<string, (Chart | undefined)[]> = {
    overview: [sideBySide(series)],
    scan: [overLength(series, 'scan', TIME), rateOverStates(series)],
    conv: [overLength(series, 'conv', TIME)],
    train: [overLength(series, 'train', TIME), overLength(series, 'train', MEMORY)],
    batch: [rateOverBatch(series)],
    context: [timeAfterContext(series), memoryAfterContext(series)],
    limits: [shareOfLimit(series)],
    peers: [peersChart(series)],
  };
  return Object.fromEntries(
    Object.entries(charts).map(([name, found]) => [name, found.filter((chart) => chart !== undefined)]),
  );
}
