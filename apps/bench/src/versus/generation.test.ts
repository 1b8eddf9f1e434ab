import { expect, test } from 'vitest';
import { expectedSeconds } from './generation.ts';

const measured = [
  { batch: 1, prompt: 100, seconds: 1 },
  { batch: 4, prompt: 100, seconds: 2 },
  { batch: 1, prompt: 200, seconds: 1.5 },
];

test('a larger generation is expected to take what the nearest smaller one tells', () => {
  expect(expectedSeconds(measured, { batch: 16, prompt: 100 }, 0)).toBe(8);
  expect(expectedSeconds(measured, { batch: 4, prompt: 200 }, 0)).toBe(6);
  // Without one of as many tokens, time may grow with the square of the length.
  expect(expectedSeconds(measured.slice(0, 2), { batch: 4, prompt: 200 }, 0)).toBe(8);
});

test('nothing is expected where none is smaller', () => {
  expect(expectedSeconds([], { batch: 1, prompt: 1 }, 1)).toBe(0);
  expect(expectedSeconds(measured, { batch: 2, prompt: 50 }, 0)).toBe(0);
});
