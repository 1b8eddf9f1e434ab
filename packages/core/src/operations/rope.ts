import { invalid } from '../contract/errors.ts';
import type { RopeOptions } from '../contract/operations.ts';
import type { TensorSpec } from '../contract/tensor.ts';
import {
  checkActivation,
  checkBoolean,
  checkInteger,
  checkIntegers,
  checkNumber,
  checkOptions,
  like,
} from './check.ts';
import { headsOf } from './heads.ts';

/**
 * Rotary positions (arXiv 2104.09864, section 3.2.2). The pair i of each head's first rotaryDim channels is turned by
 * the angle a = position frequencies[i]:
 *
 *     (u, w) → (u cos a - w sin a, u sin a + w cos a)
 *
 * The pair is (i, i + rotaryDim / 2), or (2i, 2i + 1) where interleaved; frequencies are `theta^(-2 i / rotaryDim)`
 * unless they are given, as for stretched contexts (Llama 3, YaRN). The position of token t is `offset + t`, or
 * `positions[b, t]`. Angles are reduced to a turn before they are rounded, so a far position loses nothing.
 *
 * x and y are `[batch, length, heads, headDim]`, or `[batch, length, heads * headDim]` with `headDim` as an option.
 * @throws MambaError `invalid-argument` on a wrong rank, shape, dtype or option.
 */
export interface RopeCall<T> {
  readonly x: T;
  /** int32 `[batch, length]` */
  readonly positions: T | undefined;
  /** Without meaning where there are `positions`. */
  readonly offset: number;
  /** Radians a position, of each pair. */
  readonly frequencies: readonly number[];
  readonly interleaved: boolean;
  readonly batch: number;
  readonly length: number;
  readonly heads: number;
  readonly headDim: number;
}

const OPTIONS = ['headDim', 'rotaryDim', 'theta', 'frequencies', 'interleaved', 'offset', 'positions'] as const;
const MOST_POSITIONS = 2 ** 30;

/** Checks the arguments of `rope`, and gives its call and the spec of its result. */
export function resolveRope<T extends TensorSpec>(
  x: T,
  options: RopeOptions<T> = {},
  origin = 'rope',
): { call: RopeCall<T>; outputs: TensorSpec } {
  checkOptions(origin, options, OPTIONS);
  const { interleaved = false, offset = 0, positions } = options;
  const [batch, length, heads, headDim] = headsOf(`${origin}.x`, x, options.headDim);
  checkActivation(`${origin}.x`, x);
  checkBoolean(`${origin}.interleaved`, interleaved);
  checkInteger(`${origin}.offset`, offset, -MOST_POSITIONS, MOST_POSITIONS);
  checkInteger(`${origin}.length`, length, 1, MOST_POSITIONS);
  if (positions !== undefined) {
    if (options.offset !== undefined)
      throw invalid(`${origin}.positions`, 'offset and positions', 'one of the two', 'Leave offset out.');
    checkIntegers(`${origin}.positions`, positions, [batch, length], '[batch, length]');
  }
  const frequencies = frequenciesOf(origin, headDim, options);
  return {
    call: { x, positions, offset, frequencies, interleaved, batch, length, heads, headDim },
    outputs: { shape: x.shape, dtype: x.dtype },
  };
}

/** The gradient of `rope`'s x: dy turned by the negative angles. */
export interface RopeBackwardCall<T> extends Omit<RopeCall<T>, 'x'> {
  readonly dy: T;
}

export function resolveRopeBackward<T extends TensorSpec>(
  options: RopeOptions<T>,
  dy: T,
): { call: RopeBackwardCall<T>; outputs: TensorSpec } {
  const { x, ...call } = resolveRope(dy, options, 'ropeBackward').call;
  return { call: { ...call, dy: x }, outputs: like(dy) };
}

function frequenciesOf(origin: string, headDim: number, options: RopeOptions<unknown>): readonly number[] {
  const {
    frequencies,
    theta = 10000,
    rotaryDim = frequencies === undefined ? headDim : 2 * frequencies.length,
  } = options;
  checkInteger(`${origin}.rotaryDim`, rotaryDim, 2, headDim);
  if (rotaryDim % 2 !== 0) throw invalid(`${origin}.rotaryDim`, `${rotaryDim}`, 'an even number of channels');
  const pairs = rotaryDim / 2;
  if (frequencies === undefined) {
    checkNumber(`${origin}.theta`, theta, 1, 1e30);
    return Array.from({ length: pairs }, (_, index) => theta ** ((-2 * index) / rotaryDim));
  }
  if (options.theta !== undefined)
    throw invalid(`${origin}.frequencies`, 'theta and frequencies', 'one of the two', 'Leave theta out.');
  if (!Array.isArray(frequencies) || frequencies.length !== pairs)
    throw invalid(`${origin}.frequencies`, `${frequencies?.length} numbers`, `${pairs}, one a pair of channels`);
  for (const [index, value] of frequencies.entries()) checkNumber(`${origin}.frequencies[${index}]`, value, -1e6, 1e6);
  return frequencies;
}
