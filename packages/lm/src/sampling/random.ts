import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/**
 * Uniform numbers in [0, 1) of 24 bits: exact in float32, so that every backend gets the same ones, and none is rounded up to 1.
 */
export function uniformNumbers(seed: number): () => number {
  const generator = xoroshiro128plus(seed);
  return () => (generator.next() >>> 8) / 2 ** 24;
}

export function randomSeed(): number {
  return crypto.getRandomValues(new Int32Array(1))[0]!;
}
