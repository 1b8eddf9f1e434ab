import { type Backend, invalid, type Tensor } from '@mamba/core';
import { type Scope, scoped } from '@mamba/core/toolkit';
import { filled, rowsOf } from '../shared/tensors.ts';

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
    const anchors = Int32Array.from({ length: batch * heads * queries }, (_, index) => {
      const row = Math.floor(index / (heads * queries));
      return seen[(row * queries + (index % queries)) % seen.length]!;
    });
    const probabilities = softmax(backend, scope, matrix, anchors);
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

/**
 * exp(s - log Σ exp s) of each row. The cross entropy of a row for one of its keys is that logarithm less the key's own
 * score, which a product with a matrix of ones and zeros picks.
 */
function softmax(backend: Backend, scope: Scope, scores: Tensor, anchors: Int32Array): Tensor {
  const [rows, keys] = scores.shape as [number, number];
  const ids = scope.own(backend.upload({ dtype: 'int32', shape: [rows], data: anchors }));
  const losses = scope.own(backend.reshape(scope.own(backend.crossEntropy(scores, ids)), [rows, 1]));
  const picks = new Float32Array(rows * keys);
  for (let row = 0; row < rows; row++) picks[row * keys + anchors[row]!] = 1;
  const picked = scope.own(backend.upload({ dtype: 'float32', shape: [rows, keys], data: picks }));
  const alone = scope.own(backend.multiply(scores, picked));
  const own = scope.own(backend.linear(alone, filled(backend, scope, [1, keys], 1)));
  scope.drop(alone);
  scope.drop(picked);
  const total = scope.own(backend.add(losses, own));
  const repeated = scope.own(backend.linear(total, filled(backend, scope, [keys, 1], -1)));
  const exponents = scope.own(backend.add(scores, repeated));
  scope.drop(repeated);
  return scope.own(backend.multiply(exponents, undefined, { activation: 'exp' }));
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
): { readonly masks: readonly (Tensor | undefined)[]; readonly seen: Int32Array } {
  if (!causal && visible === undefined) return { masks: [undefined], seen: new Int32Array(queries) };
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
