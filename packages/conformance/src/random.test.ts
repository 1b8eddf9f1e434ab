import { expect, test } from 'vitest';
import { Random } from './random.ts';

test('the same seed gives the same numbers, whichever way they are drawn', () => {
  const [one, other] = [new Random(7), new Random(7)];
  const filled = new Float32Array(101);
  one.fillUniform(filled, -2, 3);
  expect([...filled]).toEqual(Array.from(filled, () => Math.fround(other.uniform(-2, 3))));
  expect(one.bits()).toBe(other.bits());
  expect(new Random(8).bits()).not.toBe(new Random(7).bits());
});

test('normal numbers have mean 0 and deviation 1', () => {
  const random = new Random(1);
  const values = Array.from({ length: 20000 }, () => random.normal());
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const square = values.reduce((sum, value) => sum + value * value, 0) / values.length;
  expect(Math.abs(mean)).toBeLessThan(0.03);
  expect(Math.abs(square - 1)).toBeLessThan(0.03);
});
