import { mix, type Random } from '../random.ts';

const ROUNDS = 4;

/**
 * A random order of `count` things that takes no memory: index → index. A Feistel network permutes the numbers below
 * the next power of 4, and those beyond `count` are permuted again until they are below it.
 */
export function permutation(count: number, random: Random): (index: number) => number {
  let half = 1;
  while (half * half < count) half *= 2;
  const keys = Array.from({ length: ROUNDS }, () => random.integer(2 ** 32));
  const once = (index: number): number => {
    let left = Math.floor(index / half);
    let right = index % half;
    for (const key of keys) [left, right] = [right, (left ^ mix(mix(right) ^ key)) & (half - 1)];
    return left * half + right;
  };
  return (index) => {
    let place = once(index);
    while (place >= count) place = once(place);
    return place;
  };
}
