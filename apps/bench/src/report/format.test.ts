import { expect, it } from 'vitest';
import { digits, formatBytes, formatCount, formatPower, formatRange, formatSeconds, formatWait } from './format.ts';

it('keeps three digits and a unit that fits', () => {
  expect([0.00123, 1.5, 123.4, 4.2e-7, 3e-10].map(formatSeconds)).toEqual([
    '1.23 ms',
    '1.50 s',
    '123 s',
    '420 ns',
    '0.300 ns',
  ]);
  expect([0, 1.234, 12.34, 1234, 0.01234].map(digits)).toEqual(['0', '1.23', '12.3', '1234', '0.0123']);
  expect([512, 2048, 541e6, 23.5 * 2 ** 30].map(formatBytes)).toEqual(['512 B', '2.00 KiB', '516 MiB', '23.5 GiB']);
  expect([999, 45.2e9].map(formatCount)).toEqual(['999', '45.2 G']);
});

it('gives a range in the unit of its middle', () => {
  expect(formatRange(0.9, 1.2, 1)).toBe('0.900–1.20');
  expect(formatRange(0.9, 1.2, 0.99)).toBe('900–1200');
});

it('names powers and waits', () => {
  expect([512, 131072, 1000].map(formatPower)).toEqual(['2^9', '2^17', '1000']);
  expect([-1, 0.4, 59, 60, 125].map(formatWait)).toEqual(['0 s', '0 s', '59 s', '1 min 00 s', '2 min 05 s']);
});
