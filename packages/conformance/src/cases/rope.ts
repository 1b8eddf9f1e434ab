import type { RopeOptions } from '@mamba/core';
import { Random } from '../random.ts';
import { type Named, type OperationCase, operationCase, type Tolerance } from './case.ts';
import { integers, normals } from './host.ts';

/** Sizes and options of a case of `rope` and of its gradient. */
export interface RopeCaseOptions
  extends Pick<RopeOptions<never>, 'rotaryDim' | 'theta' | 'frequencies' | 'interleaved' | 'offset'> {
  readonly batch: number;
  readonly length: number;
  readonly heads: number;
  readonly headDim: number;
  /** Whether heads are flattened, as `[batch, length, heads * headDim]`. Default false. */
  readonly flat?: boolean | undefined;
  /** The position of each token, the same for every row but for one more a row. Default: by `offset`. */
  readonly positions?: ((token: number) => number) | undefined;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
}

/** The bound of a rotation: two products and a sum, and a sine and cosine of an exactly reduced angle. */
export const ROTATION: Tolerance = {
  relative: 1e-6,
  reason: 'some units in the last place of sine and cosine, 2^-24 each, of two products and a sum',
};

/** A rotation of seeded heads by their positions. */
export function ropeCase(options: RopeCaseOptions): OperationCase<'rope'> {
  return operationCase({
    operation: 'rope',
    ...common('rope', options),
    build: () => inputs(options, 'x'),
    arguments: ({ x, positions }) => [x, callOptions(options, positions)],
  });
}

/** The gradient of x, for a seeded cotangent. */
export function ropeBackwardCase(options: RopeCaseOptions): OperationCase<'ropeBackward'> {
  return operationCase({
    operation: 'ropeBackward',
    ...common('rope-backward', options),
    build: () => inputs(options, 'dy'),
    arguments: ({ dy, positions }) => [callOptions(options, positions), dy],
  });
}

function common(stem: string, options: RopeCaseOptions) {
  const { batch, length, heads, headDim, rotaryDim = headDim, interleaved = false, seed = 1 } = options;
  return {
    id: `${stem}/${options.id ?? `l${length}-h${heads}-d${headDim}-r${rotaryDim}`}`,
    seed,
    sizes: { batch, length, heads, headDim, rotaryDim, interleaved },
    tolerance: ROTATION,
    optional: true,
  };
}

function callOptions<T>(options: RopeCaseOptions, positions: T | undefined): RopeOptions<T> {
  const { headDim, flat, rotaryDim, theta, frequencies, interleaved, offset } = options;
  return { rotaryDim, theta, frequencies, interleaved, offset, positions, headDim: flat ? headDim : undefined };
}

function inputs({ batch, length, heads, headDim, flat, positions, seed = 1 }: RopeCaseOptions, name: 'x' | 'dy') {
  const shape = flat ? [batch, length, heads * headDim] : [batch, length, heads, headDim];
  const x = { host: normals(new Random(seed), shape) };
  if (positions === undefined) return { [name]: x };
  const rows = integers([batch, length], (index) => positions(index % length) + Math.floor(index / length));
  return { [name]: x, positions: { host: rows } } satisfies Named<unknown>;
}
