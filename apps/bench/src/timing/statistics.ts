import type { TimeSummary } from '../schema/report.ts';

/** The q-quantile of the values, 0 ≤ q ≤ 1, interpolated between neighbours (Hyndman and Fan's type 7). */
export function quantile(values: readonly number[], q: number): number {
  if (values.length === 0) throw new RangeError('no values have no quantile');
  const sorted = Float64Array.from(values).sort();
  const position = (sorted.length - 1) * q;
  const below = sorted[Math.floor(position)]!;
  const above = sorted[Math.ceil(position)]!;
  return below + (above - below) * (position - Math.floor(position));
}

/**
 * The uncertainty of the median, relative to it: 1.57 interquartile ranges over √n, half the width of a box plot's
 * notch (McGill, Tukey and Larsen 1978), about a 95 % interval. Infinite with fewer than three values.
 */
export function medianUncertainty(values: readonly number[]): number {
  if (values.length < 3) return Number.POSITIVE_INFINITY;
  const range = quantile(values, 0.75) - quantile(values, 0.25);
  return (1.57 * range) / Math.sqrt(values.length) / quantile(values, 0.5);
}

/** Summarises samples; `seconds` are of one call each. */
export function summarise(seconds: readonly number[], callsPerSample: number): TimeSummary {
  return {
    median: quantile(seconds, 0.5),
    p10: quantile(seconds, 0.1),
    p90: quantile(seconds, 0.9),
    n: seconds.length,
    callsPerSample,
  };
}

/** Least-squares slope of log y over log x: the power by which y grows with x. */
export function logLogSlope(points: readonly { readonly x: number; readonly y: number }[]): number {
  if (points.length < 2) throw new RangeError('a slope takes two points');
  const xs = points.map(({ x }) => Math.log(x));
  const ys = points.map(({ y }) => Math.log(y));
  const meanX = xs.reduce((sum, x) => sum + x, 0) / xs.length;
  const meanY = ys.reduce((sum, y) => sum + y, 0) / ys.length;
  let covariance = 0;
  let variance = 0;
  for (const [index, x] of xs.entries()) {
    covariance += (x - meanX) * (ys[index]! - meanY);
    variance += (x - meanX) ** 2;
  }
  if (variance === 0) throw new RangeError('a slope takes two different x');
  return covariance / variance;
}
