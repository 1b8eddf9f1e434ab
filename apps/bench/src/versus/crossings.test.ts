import { describe, expect, it } from 'vitest';
import type { VersusPoint } from '../schema/versus.ts';
import { crossingsOf } from './crossings.ts';

function points(system: string, medians: Readonly<Record<number, number>>): VersusPoint[] {
  return Object.entries(medians).map(([length, median]) => ({
    ...{ system, backend: 'cpu', measure: 'forward' as const, length: Number(length), status: 'measured' as const },
    time: { median, p10: median, p90: median, n: 1, callsPerSample: 1 },
  }));
}
const mamba = points('mamba', { 64: 2, 128: 4, 256: 8, 512: 16 });
const crossing = (other: Readonly<Record<number, number>>) =>
  crossingsOf([...mamba, ...points('other', other)]).find(({ against }) => against === 'other');

describe('crossingsOf', () => {
  it('finds where two lines of a log-log plot cross', () => {
    // Half of Mamba's time at 128 and twice as much at 256: the middle of the two lengths by their logarithms.
    expect(crossing({ 64: 0.5, 128: 2, 256: 16 })).toEqual({
      ...{ backend: 'cpu', measure: 'forward', of: 'time', against: 'other', less: 'from', length: 256 },
      from: expect.closeTo(128 * Math.SQRT2, 8),
      ratio: 2,
      alone: 512,
    });
  });

  it('takes the last of several crossings', () => {
    expect(crossing({ 64: 4, 128: 2, 256: 16, 512: 32 })).toMatchObject({ less: 'from', length: 512 });
    expect(crossing({ 64: 1, 128: 8, 256: 7, 512: 32 })!.from).toBeGreaterThan(256);
  });

  it('tells of systems that are always behind, and of those that are not', () => {
    expect(crossing({ 64: 3, 128: 5, 256: 9, 512: 17 })).toMatchObject({ less: 'always', ratio: 17 / 16 });
    expect(crossing({ 64: 3, 128: 5, 256: 7, 512: 16 })).toMatchObject({ less: 'not', ratio: 1 });
    expect(crossing({ 64: 3 })).toMatchObject({ less: 'always', length: 64, alone: 128 });
    expect(crossing({ 1024: 3 })).toBeUndefined();
  });
});
