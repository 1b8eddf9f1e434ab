import { invalid } from '../contract/errors.ts';
import type { TensorSpec } from '../contract/tensor.ts';
import { checkInteger, checkRank, describe } from './check.ts';

/** Most channels of a head. */
const MOST_CHANNELS = 2 ** 16;

/**
 * The extents `[batch, length, heads, headDim]` of a tensor of that shape, or of one whose heads are flattened as
 * `[batch, length, heads * headDim]`.
 * @throws MambaError `invalid-argument` on another rank, and where `headDim` is missing, superfluous or no divisor.
 */
export function headsOf(
  origin: string,
  spec: TensorSpec,
  headDim: number | undefined,
): readonly [batch: number, length: number, heads: number, headDim: number] {
  if (headDim === undefined) {
    checkRank(origin, spec, 4, '[batch, length, heads, headDim], or [batch, length, heads * headDim] and headDim');
    return spec.shape as unknown as readonly [number, number, number, number];
  }
  checkRank(origin, spec, 3, '[batch, length, heads * headDim] where headDim is given');
  checkInteger(`${origin}.headDim`, headDim, 1, MOST_CHANNELS);
  const [batch, length, channels] = spec.shape as unknown as readonly [number, number, number];
  if (channels % headDim !== 0) throw invalid(origin, describe(spec), `channels in heads of ${headDim}`);
  return [batch, length, channels / headDim, headDim];
}
