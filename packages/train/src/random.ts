import { invalid } from '@mamba/core';
import { xoroshiro128plus, xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';

/**
 * Random numbers of a seed. The state can be saved and restored, so that a training that goes on draws what it would
 * have drawn.
 */
export class Random {
  readonly #seed: number;
  #generator: ReturnType<typeof xoroshiro128plus>;

  /** @throws MambaError `invalid-argument` where the seed is not an integer of 0 to 2^53 - 1. */
  constructor(seed: number) {
    if (!Number.isSafeInteger(seed) || seed < 0)
      throw invalid('random.seed', String(seed), 'an integer from 0 to 2^53 - 1');
    this.#seed = seed;
    this.#generator = xoroshiro128plus(mix(Math.floor(seed / 2 ** 32) ^ mix((seed | 0) + 0x9e3779b9)));
    // The first numbers of the generator still correlate with the seed.
    for (let index = 0; index < 16; index++) this.#generator.next();
  }

  /** A uniform number in [0, 1) with 32 bits. */
  uniform(): number {
    return (this.#generator.next() >>> 0) / 2 ** 32;
  }

  /** An integer in [0, limit), for limits that are small beside 2^32. */
  integer(limit: number): number {
    return Math.floor(this.uniform() * limit);
  }

  /** A normal number of mean 0 and deviation 1, by Box and Muller's transform. */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** The numbers of another stream of the same seed, by name: FNV-1a of the name, mixed with the seed. */
  fork(name: string): Random {
    let hash = 0x811c9dc5;
    for (let index = 0; index < name.length; index++) hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193);
    return new Random((mix(hash ^ this.#seed) >>> 0) * 2 ** 20 + ((this.#seed ^ hash) & 0xfffff));
  }

  /** The state, for `restore`. */
  state(): readonly number[] {
    return this.#generator.getState();
  }

  /** Goes on from a state that `state` gave. */
  restore(state: readonly number[]): void {
    this.#generator = xoroshiro128plusFromState(state);
  }
}

/** MurmurHash3's finalizer, so that neighbouring seeds are unrelated. */
export function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
