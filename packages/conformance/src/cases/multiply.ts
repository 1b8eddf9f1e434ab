import type { Activation, Shape } from '@mamba/core';
import { Random } from '../random.ts';
import { backwardCase } from './backward.ts';
import { type OperationCase, operationCase, ROUNDING, type Tolerance } from './case.ts';
import { floats, normals } from './host.ts';

/** Sizes and options of a case of `multiply` and of its gradients: factors of `shape`. */
export interface MultiplyCaseOptions {
  readonly shape: Shape;
  /** Whether there is a second factor. Default true. */
  readonly second?: boolean | undefined;
  /** Default `none`. */
  readonly activation?: Activation | undefined;
  /** Default: the operation's. */
  readonly scale?: number | undefined;
  /**
   * The first and the last value of the first factor, which is evenly spaced. Default: normal numbers with a deviation
   * of 3.
   */
  readonly range?: readonly [number, number] | undefined;
  /** The values of the first factor. */
  readonly values?: readonly number[] | undefined;
  /**
   * Chooses the second factor such that all results have about the same size, although the activation of a negative
   * number is tiny. Each result is then held to its own relative error.
   */
  readonly level?: boolean | undefined;
  readonly tolerance?: Tolerance | undefined;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
}

/** A product of seeded factors, the first through an activation. */
export function multiplyCase(options: MultiplyCaseOptions): OperationCase<'multiply'> {
  const { shape, second = true, activation = 'none', scale, range, values, level = false, seed = 1 } = options;
  const way = `${activation}-${second ? 'two' : 'one'}`;
  return operationCase({
    operation: 'multiply',
    id: `multiply/${options.id ?? `${way}-s${shape.join('x')}`}`,
    seed,
    sizes: { shape: shape.join('x'), activation, second, scale: scale ?? 'default', level },
    tolerance: options.tolerance ?? TOLERANCES[activation],
    build() {
      const random = new Random(seed);
      const a = values === undefined ? spread(random, shape, range) : floats(shape, (index) => values[index]!);
      if (!second) return { a: { host: a } };
      const b = level ? floats(shape, (index) => LEVELS[activation](a.data[index]!)) : normals(random, shape);
      return { a: { host: a }, b: { host: b } };
    },
    arguments: (tensors) => [tensors.a, tensors.b, { activation, scale }],
  });
}

function spread(random: Random, shape: Shape, range: readonly [number, number] | undefined) {
  if (range === undefined) return normals(random, shape, 3);
  const size = shape.reduce((product, extent) => product * extent, 1);
  const [low, high] = range;
  return floats(shape, (index) => low + ((high - low) * index) / Math.max(1, size - 1));
}

/** A factor that brings the activation of a negative x to about 1. */
const LEVELS: Readonly<Record<Activation, (x: number) => number>> = {
  none: () => 1,
  silu: (x) => Math.exp(-x),
  gelu: (x) => Math.exp((x * x) / 2),
  'gelu-tanh': (x) => Math.exp(-2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)),
  relu2: () => 1,
  exp: (x) => Math.exp(-x),
  sigmoid: (x) => Math.exp(-x),
  tanh: (x) => 1 / Math.tanh(x),
  'elu-plus-one': (x) => (x > 0 ? 1 / (x + 1) : Math.exp(-x)),
  reciprocal: (x) => x,
};

const PRODUCT: Tolerance = {
  relative: 3e-7,
  reason: 'half a unit in the last place, 2^-24, for the scale, for a square, and for each of two products',
};

const TOLERANCES: Readonly<Record<Activation, Tolerance>> = {
  none: PRODUCT,
  silu: ROUNDING,
  gelu: ROUNDING,
  'gelu-tanh': ROUNDING,
  relu2: PRODUCT,
  exp: ROUNDING,
  sigmoid: ROUNDING,
  tanh: ROUNDING,
  'elu-plus-one': ROUNDING,
  reciprocal: ROUNDING,
};

/** The gradients of both factors. */
export function multiplyBackwardCase(options: MultiplyCaseOptions): OperationCase<'multiplyBackward'> {
  const { activation, scale } = options;
  return backwardCase(multiplyCase(options), {
    operation: 'multiplyBackward',
    shape: options.shape,
    tolerance: options.tolerance ?? ROUNDING,
    arguments: ({ a, b, dy }) => [a, b, { activation, scale }, dy],
  });
}
