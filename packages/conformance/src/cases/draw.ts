import { type HostTensor, type InitialValues, type Shape, sizeOf } from '@mamba/core';
import { deriveSeed, Random } from '../random.ts';
import { floats } from './host.ts';
import { inverseSoftplus } from './regimes.ts';

/** Draws the values of one parameter, which depend on the seed and the parameter's name alone. */
export class Draw {
  readonly #random: Random;
  readonly #shape: Shape;

  constructor(name: string, shape: Shape, seed: number) {
    this.#random = new Random(deriveSeed(seed, name));
    this.#shape = shape;
  }

  /** Uniform within [-bound, bound). */
  within(bound: number): HostTensor {
    const data = new Float32Array(sizeOf(this.#shape));
    this.#random.fillUniform(data, -bound, bound);
    return { dtype: 'float32', shape: this.#shape, data };
  }

  /** Normal around a value for each element, with a deviation of a tenth of it. */
  around(value: (index: number) => number): HostTensor {
    return this.each((random, index) => value(index) * (1 + 0.1 * random.normal()));
  }

  /** Values as training begins with, for a parameter whose values are not all the same. */
  initial(values: Exclude<InitialValues, { readonly kind: 'constant' }>): HostTensor {
    if (typeof values === 'function') return this.each((random, index) => values(index, () => random.uniform()));
    switch (values.kind) {
      case 'uniform':
        return this.within(values.bound);
      case 'normal':
        return this.each((random) => values.deviation * random.normal());
      case 'ramp':
        return this.around((index) => -((index % this.#shape.at(-1)!) + 1));
      case 'steps':
        return this.each((random) => inverseSoftplus(random.logUniform(values.smallest, values.largest)));
    }
  }

  /** Each element as `value` draws it. */
  each(value: (random: Random, index: number) => number): HostTensor {
    return floats(this.#shape, (index) => value(this.#random, index));
  }
}
