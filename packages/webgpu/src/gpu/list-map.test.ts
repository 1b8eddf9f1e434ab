import { expect, test } from 'vitest';
import { ListMap } from './list-map.ts';

function begun<V>(map: ListMap<V>, key: readonly number[]): ListMap<V> {
  map.begin();
  for (const value of key) map.add(value);
  return map;
}

test('lists that differ in a number, in their order or in their length are different keys', () => {
  const keys = [[], [0], [0, 0], [1], [1, 2], [2, 1], [1, 2, 3], [0.5], [2 ** 32], [2 ** 32 + 1], [Infinity]];
  const map = new ListMap<number>();
  for (const [index, key] of keys.entries()) {
    expect(begun(map, key).get()).toBeUndefined();
    map.set(index);
  }
  for (const [index, key] of keys.entries()) expect(begun(map, key).get()).toBe(index);
  expect(map.size).toBe(keys.length);
  map.clear();
  expect(map.size).toBe(0);
  expect(begun(map, [1, 2]).get()).toBeUndefined();
});

test('lists of one hash are told apart', () => {
  // Only the integer part of a number enters the hash.
  const map = new ListMap<string>();
  begun(map, [7, 0.25]).set('first');
  begun(map, [7, 0.75]).set('second');
  expect(begun(map, [7, 0.25]).get()).toBe('first');
  expect(begun(map, [7, 0.75]).get()).toBe('second');
  expect(begun(map, [7, 0.5]).get()).toBeUndefined();
});

test('a list may be of any length', () => {
  const long = Array.from({ length: 1000 }, (_, index) => index);
  const map = new ListMap<string>();
  begun(map, long).set('long');
  expect(begun(map, long).get()).toBe('long');
  expect(begun(map, long.with(999, 0)).get()).toBeUndefined();
});
