import stringWidth from 'string-width';
import { describe, expect, it } from 'vitest';
import { shrink, table, wrap } from './table.ts';

const ROWS = [
  ['layers.0.mixer.in_proj.weight', 'F16', '768 × 192', '288.0 KiB'],
  ['layers.0.mixer.A_log', 'F32', '384 × 16', '24.0 KiB'],
];
const HEAD = ['tensor', 'dtype', 'shape', 'size'];

describe('table', () => {
  it.each([30, 40, 60, 80, 200])('fits in %i columns', (width) => {
    const text = table(HEAD, ROWS, { right: [3], width });
    for (const line of text.split('\n')) expect(stringWidth(line)).toBeLessThanOrEqual(width);
  });

  it('has borders where they fit, and is as wide as its text', () => {
    expect(table([], [['a', 'bc']])).toBe('┌───┬────┐\n│ a │ bc │\n└───┴────┘');
    expect(table([], [['a', 'bc']], { width: 10 })).toContain('│');
  });

  it('has none and breaks names where it is narrow', () => {
    const lines = table(['name', 'size'], [['layers.0.mixer.A_log', '24.0 KiB']], { right: [1], width: 20 }).split(
      '\n',
    );
    expect(lines.map((line) => line.trimEnd())).toEqual([
      'name           size',
      'layers.0.  24.0 KiB',
      'mixer.',
      'A_log',
    ]);
  });
});

describe('wrap', () => {
  it('breaks behind spaces, and loses nothing but these', () => {
    expect(wrap('mamba: dInner 384, dState 16', 12)).toBe('mamba:\ndInner 384,\ndState 16');
    expect(wrap('a'.repeat(7), 3)).toBe('aaa\naaa\na');
    expect(wrap('fits', 10)).toBe('fits');
    expect(wrap('', 10)).toBe('');
  });
});

describe('shrink', () => {
  it('takes from the widest columns first, and leaves one column to each', () => {
    expect(shrink([10, 3, 8], 30)).toEqual([10, 3, 8]);
    expect(shrink([10, 3, 8], 15)).toEqual([6, 3, 6]);
    expect(shrink([10, 3], 1)).toEqual([1, 1]);
  });
});
