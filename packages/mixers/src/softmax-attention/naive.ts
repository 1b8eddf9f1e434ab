import { type Backend, invalid, type Tensor } from '@mamba/core';
import { type Scope, scoped } from '@mamba/core/toolkit';
import { filled, rowsOf } from '../shared/tensors.ts';
import { causalMask } from './causal-mask.ts';

/** Options of `naiveAttention`. */
export interface NaiveAttentionOptions {
  /** Multiplies q · k. Default headDim^-1/2. */
  readonly scale?: number | undefined;
  /** Whether a query sees only keys up to its own position; the last query stands at the last key. Default true. */
  readonly causal?: boolean | undefined;
  /** Whether query i of a row of the batch sees key j, beside what `causal` says. Default: it sees all. */
  readonly visible?: ((row: number, i: number, j: number) => boolean) | undefined;
}

/** What hides a score: far below any other, and finite, so that its products with 0 are 0. */
const HIDDEN = -1e30;

/**
 * Softmax attention that materialises its matrix on purpose: the scores `[batch * heads * queries, keys]`, and twice as
 * much while they become probabilities. It is the yardstick of memory and of numbers for the operation `attention`, and
 * takes any mask. It is composed: a product for each row and head, and the softmax over all of them, whose logarithm of
 * the sum is a cross entropy. The caller disposes the result.
 * @param q `[batch, queries, heads, headDim]`
 * @param k `[batch, keys, heads, headDim]`
 * @param v `[batch, keys, heads, channels]`
 * @returns `[batch, queries, heads, channels]`
 * @throws MambaError `invalid-argument` where a query sees no key.
 */
export function naiveAttention(
  backend: Backend,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: NaiveAttentionOptions = {},
): Tensor {
  return scoped((scope) => {
    const [batch, queries, heads, headDim] = q.shape as [number, number, number, number];
    const [, keys, , channels] = v.shape as [number, number, number, number];
    const { scale = headDim ** -0.5 } = options;
    const { masks, seen } = maskOf(backend, scope, [batch, queries, keys], options);
    const scaled = scope.own(backend.multiply(q, undefined, { scale }));
    const scores = each(batch, heads, (row, head) => {
      const product = scope.own(
        backend.linear(rowsOf(backend, scope, scaled, row, head), rowsOf(backend, scope, k, row, head)),
      );
      const mask = masks[row % masks.length];
      return mask === undefined ? product : scope.own(backend.add(product, mask));
    });
    const matrix = scope.own(backend.concat(scores, 0));
    for (const part of scores) scope.drop(part);
    const probabilities = softmax(backend, scope, matrix, {
      anchors: Int32Array.from({ length: batch * heads * queries }, (_, index) => {
        const row = Math.floor(index / (heads * queries));
        return seen[(row * queries + (index % queries)) % seen.length]!;
      }),
      own: ownScores(backend, scope, scaled, k, seen),
    });
    scope.drop(matrix);
    const identity = identityOf(backend, scope, channels);
    const outputs = each(batch, heads, (row, head) => {
      const at = (row * heads + head) * queries;
      const share = scope.own(backend.slice(probabilities, 0, at, at + queries));
      // A product with the identity transposes the values.
      const values = scope.own(backend.linear(identity, rowsOf(backend, scope, v, row, head)));
      return scope.own(backend.reshape(scope.own(backend.linear(share, values)), [1, queries, 1, channels]));
    });
    const rows = Array.from({ length: batch }, (_, row) =>
      scope.own(backend.concat(outputs.slice(row * heads, (row + 1) * heads), 2)),
    );
    return backend.concat(rows, 0);
  });
}

/** The unit matrix. */
export function identityOf(backend: Backend, scope: Scope, size: number): Tensor {
  const data = new Float32Array(size * size);
  for (let index = 0; index < size; index++) data[index * (size + 1)] = 1;
  return scope.own(backend.upload({ dtype: 'float32', shape: [size, size], data }));
}

/** For each row of the scores a key that it sees, and the score of that key, `[rows, 1]`. */
interface Anchored {
  readonly anchors: Int32Array<ArrayBuffer>;
  readonly own: Tensor;
}

/** exp(s - log Σ exp s) of each row: a row's cross entropy for one of its keys is that logarithm less the score. */
function softmax(backend: Backend, scope: Scope, scores: Tensor, { anchors, own }: Anchored): Tensor {
  const [rows, keys] = scores.shape as [number, number];
  const ids = scope.own(backend.upload({ dtype: 'int32', shape: [rows], data: anchors }));
  const losses = scope.own(backend.reshape(scope.own(backend.crossEntropy(scores, ids)), [rows, 1]));
  const total = scope.own(backend.add(losses, own));
  const repeated = scope.own(backend.linear(total, filled(backend, scope, [keys, 1], -1)));
  const exponents = scope.own(backend.add(scores, repeated));
  scope.drop(repeated);
  return scope.own(backend.multiply(exponents, undefined, { activation: 'exp' }));
}

/** q · k of each query and the key that stands for it in `seen`, `[batch * heads * queries, 1]`. */
function ownScores(backend: Backend, scope: Scope, scaled: Tensor, k: Tensor, seen: Int32Array): Tensor {
  const [batch, queries, heads, headDim] = scaled.shape as [number, number, number, number];
  const ones = filled(backend, scope, [1, headDim], 1);
  const parts = each(batch, heads, (row, head) => {
    const first = (row * queries) % seen.length;
    const data = Int32Array.from(seen.subarray(first, first + queries));
    const part = scoped((inner) => {
      const ids = inner.own(backend.upload({ dtype: 'int32', shape: [queries], data }));
      const chosen = inner.own(backend.embedding(rowsOf(backend, inner, k, row, head), ids));
      const products = inner.own(backend.multiply(rowsOf(backend, inner, scaled, row, head), chosen));
      return backend.linear(products, ones);
    });
    return scope.own(part);
  });
  return scope.own(backend.concat(parts, 0));
}

/**
 * What is added to the scores of each row of the batch, one mask where all rows have the same and none where nothing is
 * hidden; and for each query a key that it sees.
 */
function maskOf(
  backend: Backend,
  scope: Scope,
  [batch, queries, keys]: readonly [number, number, number],
  { causal = true, visible }: NaiveAttentionOptions,
): { readonly masks: readonly (Tensor | undefined)[]; readonly seen: Int32Array<ArrayBuffer> } {
  if (visible === undefined && !causal) return { masks: [undefined], seen: new Int32Array(queries) };
  if (visible === undefined && queries <= keys) {
    const seen = Int32Array.from({ length: queries }, (_, i) => i + keys - queries);
    return { masks: [causalMask(backend, scope, queries, keys, HIDDEN)], seen };
  }
  const rows = visible === undefined ? 1 : batch;
  const seen = new Int32Array(rows * queries).fill(-1);
  const masks = Array.from({ length: rows }, (_, row) => {
    const data = new Float32Array(queries * keys).fill(HIDDEN);
    for (let i = 0; i < queries; i++) {
      for (let j = 0; j < keys; j++) {
        if (causal && j > i + keys - queries) break;
        if (visible?.(row, i, j) === false) continue;
        data[i * keys + j] = 0;
        seen[row * queries + i] = j;
      }
      if (seen[row * queries + i]! < 0)
        throw invalid('naiveAttention.visible', `query ${i} of row ${row} without a key`, 'a key for each query');
    }
    return scope.own(backend.upload({ dtype: 'float32', shape: [queries, keys], data }));
  });
  return { masks, seen };
}

/** The results for each row and head, heads of a row next to one another. */
function each<R>(batch: number, heads: number, body: (row: number, head: number) => R): R[] {
  return Array.from({ length: batch * heads }, (_, index) => body(Math.floor(index / heads), index % heads));
}
