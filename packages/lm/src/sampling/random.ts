import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/**
 * Uniform random numbers in [0, 1) with 24 bits. They are exact in float32, so that every backend gets the same numbers
 * and none is rounded up to 1.
 */
export function uniformNumbers(seed: number): () => number {
  const generator = xoroshiro128plus(scramble(seed));
  // The first numbers of the generator still correlate with the seed.
  for (let index = 0; index < 16; index++) generator.next();
  return () => (generator.next() >>> 8) / 2 ** 24;
}

export function randomSeed(): number {
  return crypto.getRandomValues(new Int32Array(1))[0]!;
}

/** Hashes the 53 bits of a seed to 32 by MurmurHash3's finalizer, so that neighbouring seeds are unrelated. */
function scramble(seed: number): number {
  return finalize(Math.floor(seed / 2 ** 32) ^ finalize((seed | 0) + 0x9e3779b9));
}

function finalize(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
