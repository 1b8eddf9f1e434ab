import type { Backend, Tensor } from '@mamba/core';
import { type Scope, scoped } from '@mamba/core/toolkit';
import { filled, rowsOf } from '../shared/tensors.ts';
import { identityOf } from '../softmax-attention/naive.ts';

/** Options of `lshAttention`. */
export interface LshAttentionOptions {
  /** Tokens of a chunk of the sorted order. */
  readonly chunk: number;
  /** Multiplies the scores. Default headDim^-1/2. */
  readonly scale?: number | undefined;
}

/** The weight of a token's own value, beside sums of exponentials that are at least 1 where it sees something. */
const TINY = 2 ** -50;

/**
 * Reformer's attention by locality-sensitive hashing (arXiv 2001.04451), with shared queries and keys: keys are q /
 * |q|. In each round, the bucket of a token is the index of the largest of [q R; -q R]. Tokens are sorted by bucket,
 * then by position, and cut into chunks; a token sees those before it of its bucket in its own chunk and the one
 * before. Rounds are weighted by the sums of their exponentials. A token that sees nothing in any round gives its own
 * value.
 *
 * It is composed for each row, head and round: a hash, two sorts, rows that are gathered and scattered, and the
 * operation `attention` over chunks, where `reach` tells how many tokens before one have its bucket. Memory is linear
 * in length. Which chunk a token is in depends on those that come later, so a sequence has to be whole. The caller
 * disposes the results.
 * @param q `[batch, length, heads, headDim]`, as v.
 * @param rotations `[rounds, headDim, buckets / 2]`
 * @returns y in the shape of q, and int32 buckets `[batch, length, heads, rounds]`.
 */
export function lshAttention(
  backend: Backend,
  q: Tensor,
  v: Tensor,
  rotations: Tensor,
  options: LshAttentionOptions,
): { readonly y: Tensor; readonly buckets: Tensor } {
  return scoped((scope) => {
    const [batch, length, heads, headDim] = q.shape as [number, number, number, number];
    const hashes = hashesOf(backend, scope, rotations);
    const rows = Array.from({ length: batch }, (_, row) => {
      const own = Array.from({ length: heads }, (_, head) =>
        oneHead(
          backend,
          scope,
          rowsOf(backend, scope, q, row, head),
          rowsOf(backend, scope, v, row, head),
          hashes,
          options,
        ),
      );
      const join = (parts: readonly Tensor[]): Tensor => scope.own(backend.concat(parts, 2));
      return {
        y: join(own.map(({ y }) => scope.own(backend.reshape(y, [1, length, 1, headDim])))),
        buckets: join(own.map(({ buckets }) => scope.own(backend.reshape(buckets, [1, length, 1, hashes.length])))),
      };
    });
    const y = scope.own(
      backend.concat(
        rows.map((row) => row.y),
        0,
      ),
    );
    const buckets = backend.concat(
      rows.map((row) => row.buckets),
      0,
    );
    return { y: scope.release(y), buckets };
  });
}

/** The rotation of each round as a product's matrix, `[buckets / 2, headDim]`. */
function hashesOf(backend: Backend, scope: Scope, rotations: Tensor): readonly Tensor[] {
  const [rounds, headDim, half] = rotations.shape as [number, number, number];
  const identity = identityOf(backend, scope, half);
  return Array.from({ length: rounds }, (_, round) => {
    const one = scope.own(backend.slice(rotations, 0, round, round + 1));
    const matrix = scope.own(backend.reshape(one, [headDim, half]));
    // A product with the identity transposes.
    return scope.own(backend.linear(identity, matrix));
  });
}

/** The attention of one head: q and v `[length, headDim]` → y, and the buckets `[length, rounds]`. */
function oneHead(
  backend: Backend,
  scope: Scope,
  q: Tensor,
  v: Tensor,
  hashes: readonly Tensor[],
  { chunk, scale = q.shape[1]! ** -0.5 }: LshAttentionOptions,
): { readonly y: Tensor; readonly buckets: Tensor } {
  const [length, headDim] = q.shape as [number, number];
  const unit = scope.own(backend.rmsNorm(q, { eps: 0 }));
  const k = scope.own(backend.multiply(unit, undefined, { scale: headDim ** -0.5 }));
  // The scores of a token are at least -scale |q|, so exp(logSumExp + scale |q|) is at least 1 where it sees something.
  const norms = scope.own(backend.multiply(q, k, { scale }));
  const least = scope.own(backend.linear(norms, filled(backend, scope, [1, headDim], 1)));
  const ones = filled(backend, scope, [headDim, 1], 1);
  let sum = scope.own(backend.multiply(v, undefined, { scale: TINY }));
  let weights = filled(backend, scope, [length, 1], TINY);
  const buckets = hashes.map((hash) => {
    const ids = bucketsOf(backend, scope, q, hash);
    const { y, logSumExp } = oneRound(backend, scope, { q, k, v }, ids, 2 * hash.shape[0]!, chunk, scale);
    const exponent = scope.own(backend.add(logSumExp, least));
    const weight = scope.own(backend.multiply(exponent, undefined, { activation: 'exp' }));
    const share = scope.own(backend.multiply(y, scope.own(backend.linear(weight, ones))));
    sum = scope.own(backend.add(sum, share));
    weights = scope.own(backend.add(weights, weight));
    return scope.own(backend.reshape(ids, [length, 1]));
  });
  const inverse = scope.own(backend.multiply(weights, undefined, { activation: 'reciprocal' }));
  const y = scope.own(backend.multiply(sum, scope.own(backend.linear(inverse, ones))));
  return { y, buckets: scope.own(backend.concat(buckets, 1)) };
}

/** The index of the largest of [q R; -q R] for each token, int32 `[length]`. */
function bucketsOf(backend: Backend, scope: Scope, q: Tensor, hash: Tensor): Tensor {
  const rotated = scope.own(backend.linear(q, hash));
  const opposite = scope.own(backend.multiply(rotated, undefined, { scale: -1 }));
  return scope.own(backend.argmax(scope.own(backend.concat([rotated, opposite], 1))));
}

interface Head {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
}

/** One round: y `[length, headDim]` and logSumExp `[length, 1]`, in the order of positions. */
function oneRound(
  backend: Backend,
  scope: Scope,
  { q, k, v }: Head,
  ids: Tensor,
  buckets: number,
  chunk: number,
  scale: number,
): { readonly y: Tensor; readonly logSumExp: Tensor } {
  const [length, headDim] = q.shape as [number, number];
  const order = scope.own(backend.argsort(ids));
  const place = scope.own(backend.argsort(order));
  const chunks = Math.ceil(length / chunk);
  const missing = chunks * chunk - length;
  const zeros = (count: number, width: number): readonly Tensor[] =>
    count === 0 ? [] : [filled(backend, scope, [count, width], 0)];
  /** Rows in the sorted order, filled up to whole chunks. */
  const sorted = (x: Tensor): Tensor => {
    const rows = scope.own(backend.embedding(x, order));
    return missing === 0 ? rows : scope.own(backend.concat([rows, ...zeros(missing, x.shape[1]!)], 0));
  };
  /** Rows `[chunks * chunk, headDim]` as chunks, each behind the one before it. */
  const pairs = (x: Tensor): Tensor => {
    const shape = [chunks, chunk, 1, headDim];
    const rest = chunks === 1 ? [] : [scope.own(backend.slice(x, 0, 0, (chunks - 1) * chunk))];
    const before = scope.own(backend.concat([...zeros(chunk, headDim), ...rest], 0));
    const both = [before, x].map((part) => scope.own(backend.reshape(part, shape)));
    return scope.own(backend.concat(both, 1));
  };
  const reach = sorted(countsOf(backend, scope, ids, buckets));
  const result = backend.attention(
    scope.own(backend.reshape(sorted(q), [chunks, chunk, 1, headDim])),
    pairs(sorted(k)),
    pairs(sorted(v)),
    // A query stands at the token before its own, and sees back from there.
    { scale, offset: chunk - 1, reach: scope.own(backend.reshape(reach, [chunks, chunk, 1])) },
  );
  scope.own(result.y);
  scope.own(result.logSumExp);
  const back = (x: Tensor, width: number): Tensor =>
    scope.own(backend.embedding(scope.own(backend.reshape(x, [chunks * chunk, width])), place));
  return { y: back(result.y, headDim), logSumExp: back(result.logSumExp, 1) };
}

/**
 * The number of tokens before each that have its bucket, `[length, 1]`, in the order of positions. It is a quarter more
 * than that, so that no rounding takes a token away.
 */
function countsOf(backend: Backend, scope: Scope, ids: Tensor, buckets: number): Tensor {
  const length = ids.shape[0]!;
  const marks = scope.own(backend.embedding(identityOf(backend, scope, buckets), ids));
  const rows = scope.own(backend.reshape(marks, [1, length, buckets]));
  const one = filled(backend, scope, [buckets, 1], 1);
  const still = filled(backend, scope, [buckets, 1], 0);
  const steps = filled(backend, scope, [1, length, buckets], 1);
  // A scan that forgets nothing counts.
  const quarter = filled(backend, scope, [buckets], 0.25);
  const counted = backend.selectiveScan(rows, steps, still, one, one, { D: quarter });
  scope.own(counted.lastState);
  const own = scope.own(backend.multiply(scope.own(counted.y), rows));
  const total = scope.own(backend.linear(own, filled(backend, scope, [1, buckets], 1)));
  const before = scope.own(backend.add(total, filled(backend, scope, [1, length, 1], -1)));
  return scope.own(backend.reshape(before, [length, 1]));
}
