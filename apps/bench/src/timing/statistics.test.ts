import { describe, expect, it } from 'vitest';
import { logLogSlope, medianUncertainty, quantile, summarise } from './statistics.ts';

describe('quantile', () => {
  it('interpolates between neighbours, whatever the order', () => {
    const values = [40, 10, 30, 20];
    expect(quantile(values, 0)).toBe(10);
    expect(quantile(values, 0.5)).toBe(25);
    expect(quantile(values, 0.1)).toBeCloseTo(13, 12);
    expect(quantile(values, 1)).toBe(40);
    expect(values).toEqual([40, 10, 30, 20]);
  });

  it('sorts by value, not by text', () => {
    expect(quantile([9, 10, 100], 0.5)).toBe(10);
  });

  it('refuses to make one up', () => {
    expect(() => quantile([], 0.5)).toThrow(RangeError);
  });
});

describe('medianUncertainty', () => {
  it('is the half width of a notch over the median', () => {
    // Interquartile range 2, n 5, median 3.
    expect(medianUncertainty([1, 2, 3, 4, 5])).toBeCloseTo((1.57 * 2) / Math.sqrt(5) / 3, 12);
  });

  it('is unknown for two values, and 0 where all agree', () => {
    expect(medianUncertainty([1, 1])).toBe(Number.POSITIVE_INFINITY);
    expect(medianUncertainty([2, 2, 2])).toBe(0);
  });
});

describe('logLogSlope', () => {
  it('finds the power of a power law', () => {
    for (const power of [0, 1, 1.5, 2]) {
      const points = [512, 1024, 4096, 131072].map((x) => ({ x, y: 3e-9 * x ** power }));
      expect(logLogSlope(points)).toBeCloseTo(power, 10);
    }
  });

  it('needs two different lengths', () => {
    expect(() => logLogSlope([{ x: 1, y: 1 }])).toThrow(RangeError);
    expect(() =>
      logLogSlope([
        { x: 2, y: 1 },
        { x: 2, y: 3 },
      ]),
    ).toThrow(RangeError);
  });
});

it('summarises samples', () => {
  expect(summarise([3, 1, 2], 8)).toEqual({ median: 2, p10: 1.2, p90: 2.8, n: 3, callsPerSample: 8 });
});
