import { invalid } from '../contract/errors.ts';
import type {
  AttentionCotangents,
  AttentionGradients,
  AttentionOptions,
  AttentionResult,
} from '../contract/operations.ts';
import type { TensorSpec } from '../contract/tensor.ts';
import {
  checkActivation,
  checkBoolean,
  checkDType,
  checkExact,
  checkInteger,
  checkIntegers,
  checkNumber,
  checkOptions,
  like,
  parameterDType,
} from './check.ts';
import { headsOf } from './heads.ts';

/**
 * Softmax attention (arXiv 1706.03762, section 3.2.1), for each row of the batch and each head:
 *
 *     score(i, j)  = cap(scale q_i · k_j)              cap(s) = softcap tanh(s / softcap), or s without a softcap
 *     logSumExp_i  = log Σ_j exp(score(i, j))          over the keys j that query i sees
 *     y_i          = Σ_j exp(score(i, j) - logSumExp_i) v_j
 *
 * Head h reads head floor(h kvHeads / heads) of k and v. Query i stands at position p = offset + i of the keys, which
 * may lie outside of them. It sees key j where all of these hold:
 *
 * - `j ≤ p` where causal;
 * - `j < keyLengths[b]`;
 * - `segments[b, j] = segments[b, p]`, which fails where p is no key;
 * - `j ≥ first`, where `first` is `p + 1 - reach[b, i]`, which need not be whole, and 0 without `reach`;
 * - with a window: `|p - j| < window`, or `j < first + globalTokens`.
 *
 * For a query that sees no key y is 0, logSumExp is -∞, and there is no gradient.
 *
 * | tensor | shape | dtype |
 * | --- | --- | --- |
 * | q, y | [batch, queries, heads, headDim] | the activations' |
 * | k, v | [batch, keys, kvHeads, headDim] | the activations' |
 * | logSumExp | [batch, queries, heads] | the parameters' |
 * | reach | [batch, queries, 1] | the parameters' |
 * | segments | [batch, keys] | int32 |
 * | keyLengths, offsets | [batch] | int32 |
 *
 * q, k, v and y may also be `[batch, length, heads * headDim]`, as a projection leaves them, with `headDim` as an
 * option: tensors have no views, so their heads can only be named here. Nothing of the size queries × keys is ever in
 * memory: results and inputs are all that a call holds, beside a workspace of a few tiles a processor.
 *
 * Values of keys that no query of the row sees do not matter at all, so the end of a cache may hold anything. A NaN or
 * an infinity in a key that some queries see may also reach other queries of the same row.
 * @throws MambaError `invalid-argument` on a wrong rank, shape, dtype or option.
 */
export interface AttentionCall<T> {
  readonly q: T;
  readonly k: T;
  readonly v: T;
  readonly segments: T | undefined;
  readonly keyLengths: T | undefined;
  readonly offsets: T | undefined;
  readonly reach: T | undefined;
  readonly causal: boolean;
  /** Undefined where there is none. */
  readonly window: number | undefined;
  readonly globalTokens: number;
  readonly scale: number;
  /** Undefined where there is none. */
  readonly softcap: number | undefined;
  /** The position of the first query; without meaning where there are `offsets`. */
  readonly offset: number;
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

const OPTIONS = [
  'headDim',
  'causal',
  'window',
  'globalTokens',
  'scale',
  'softcap',
  'segments',
  'keyLengths',
  'offset',
  'offsets',
  'reach',
] as const;

/** Positions stay below this, so that kernels can compute with them in 32 bits. */
const MOST_POSITIONS = 2 ** 30;

/** Checks the arguments of `attention`, and gives its call and the specs of its results. */
export function resolveAttention<T extends TensorSpec>(
  q: T,
  k: T,
  v: T,
  options: AttentionOptions<T> = {},
  origin = 'attention',
): { call: AttentionCall<T>; outputs: AttentionResult<TensorSpec> } {
  checkOptions(origin, options, OPTIONS);
  const { causal = true, window, globalTokens = 0, softcap, segments, keyLengths, offsets, reach } = options;
  const [batch, queries, heads, headDim] = headsOf(`${origin}.q`, q, options.headDim);
  checkActivation(`${origin}.q`, q);
  const [, keys, kvHeads] = headsOf(`${origin}.k`, k, options.headDim);
  checkKeys(`${origin}.k`, k, q, [batch, keys, kvHeads, headDim]);
  checkExact(`${origin}.v`, v, k.shape, 'as k');
  checkDType(`${origin}.v`, v, q.dtype);
  if (heads % kvHeads !== 0)
    throw invalid(`${origin}.k`, `${kvHeads} heads`, `a number of heads that divides those of q, ${heads}`);
  const parameter = parameterDType(q.dtype);
  checkBoolean(`${origin}.causal`, causal);
  if (window !== undefined) checkInteger(`${origin}.window`, window, 1, MOST_POSITIONS);
  checkInteger(`${origin}.globalTokens`, globalTokens, 0, MOST_POSITIONS);
  const { scale = headDim ** -0.5, offset = keys - queries } = options;
  checkNumber(`${origin}.scale`, scale, -1e30, 1e30);
  if (softcap !== undefined) checkNumber(`${origin}.softcap`, softcap, 1e-6, 1e6);
  checkInteger(`${origin}.offset`, offset, -MOST_POSITIONS, MOST_POSITIONS);
  if (segments !== undefined) checkIntegers(`${origin}.segments`, segments, [batch, keys], '[batch, keys]');
  if (keyLengths !== undefined) checkIntegers(`${origin}.keyLengths`, keyLengths, [batch], '[batch]');
  if (offsets !== undefined) {
    if (options.offset !== undefined) throw twice(origin, 'offset', 'offsets');
    checkIntegers(`${origin}.offsets`, offsets, [batch], '[batch]');
  }
  if (reach !== undefined) {
    checkExact(`${origin}.reach`, reach, [batch, queries, 1], '[batch, queries, 1]');
    checkDType(`${origin}.reach`, reach, parameter);
  }
  for (const extent of [queries, keys]) checkInteger(`${origin}.length`, extent, 1, MOST_POSITIONS);
  return {
    call: {
      ...{ q, k, v, segments, keyLengths, offsets, reach },
      ...{ causal, window, globalTokens, scale, softcap, offset },
      ...{ batch, queries, keys, heads, kvHeads, headDim },
    },
    outputs: {
      y: { shape: q.shape, dtype: q.dtype },
      logSumExp: { shape: [batch, queries, heads], dtype: parameter },
    },
  };
}

/**
 * The gradients of `attention`'s inputs. With P = exp(score - logSumExp) and dP = dy · v:
 *
 *     Δ_i  = dy_i · y_i - dLogSumExp_i
 *     dS   = P (dP - Δ_i) cap'(score)
 *     dq_i = scale Σ_j dS k_j          dk_j = scale Σ_i dS q_i          dv_j = Σ_i P dy_i
 *
 * where sums over i include all heads that share k_j.
 */
export interface AttentionBackwardCall<T> extends AttentionCall<T> {
  readonly y: T;
  readonly logSumExp: T;
  readonly dy: T;
  readonly dLogSumExp: T | undefined;
}

export function resolveAttentionBackward<T extends TensorSpec>(
  q: T,
  k: T,
  v: T,
  options: AttentionOptions<T>,
  results: AttentionResult<T>,
  cotangents: AttentionCotangents<T>,
): { call: AttentionBackwardCall<T>; outputs: AttentionGradients<TensorSpec> } {
  const origin = 'attentionBackward';
  const { call, outputs } = resolveAttention(q, k, v, options, origin);
  for (const [group, tensors] of [
    ['results', results],
    ['cotangents', cotangents],
  ] as const) {
    checkOptions(`${origin}.${group}`, tensors, ['y', 'logSumExp']);
    for (const name of ['y', 'logSumExp'] as const) {
      const tensor = tensors[name];
      if (tensor === undefined && group === 'cotangents' && name === 'logSumExp') continue;
      checkExact(`${origin}.${group}.${name}`, tensor!, outputs[name].shape, `as the forward ${name}`);
      checkDType(`${origin}.${group}.${name}`, tensor!, outputs[name].dtype);
    }
  }
  return {
    call: { ...call, ...results, dy: cotangents.y, dLogSumExp: cotangents.logSumExp },
    outputs: { q: like(q), k: like(k), v: like(v) },
  };
}

/** Checks that k fits q: in batch, channels of a head, rank and dtype. */
function checkKeys(
  origin: string,
  k: TensorSpec,
  q: TensorSpec,
  shape: readonly [number, number, number, number],
): void {
  const [batch, keys, kvHeads, headDim] = shape;
  const expected = q.shape.length === 3 ? [batch, keys, kvHeads * headDim] : shape;
  checkExact(origin, k, expected, q.shape.length === 3 ? '[batch, keys, kvHeads * headDim]' : 'batch and headDim as q');
  checkDType(origin, k, q.dtype);
}

function twice(origin: string, one: string, other: string) {
  return invalid(`${origin}.${other}`, `${one} and ${other}`, 'one of the two', `Leave ${one} out.`);
}
