import { type Backend, invalid, type Tensor } from '@mamba/core';
import { type Scope, scoped } from '@mamba/core/toolkit';
import { identityOf } from '../softmax-attention/naive.ts';

/** Options of `linformer`. */
export interface LinformerOptions {
  /** Multiplies q · k. Default headDim^-1/2. */
  readonly scale?: number | undefined;
}

/**
 * Linformer's attention (arXiv 2006.04768): keys and values of all tokens become `rank` of each, `E k` and `F v`, which
 * every token sees. It is composed of products over the length and the operation `attention`; memory and time are
 * linear in length. The caller disposes the result.
 * @param q `[batch, length, heads, headDim]`, as k and v.
 * @param E `[rank, longest]`, of which the first `length` columns are used; F alike.
 * @returns In the shape of q.
 * @throws MambaError `invalid-argument` where the sequence is longer than E and F.
 */
export function linformer(
  backend: Backend,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  E: Tensor,
  F: Tensor,
  { scale }: LinformerOptions = {},
): Tensor {
  return scoped((scope) => {
    const keys = shortened(backend, scope, k, E);
    const values = shortened(backend, scope, v, F);
    const { y, logSumExp } = backend.attention(q, keys, values, { causal: false, scale });
    scope.own(logSumExp);
    return y;
  });
}

/** E x for each row of the batch: `[batch, length, heads, headDim]` → `[batch, rank, heads, headDim]`. */
function shortened(backend: Backend, scope: Scope, x: Tensor, E: Tensor): Tensor {
  const [batch, length, heads, headDim] = x.shape as [number, number, number, number];
  const [rank, longest] = E.shape as [number, number];
  if (length > longest)
    throw invalid('linformer.q', `${length} tokens`, `at most ${longest}, the columns of E and F`, 'Cut the sequence.');
  const columns = scope.own(backend.slice(E, 1, 0, length));
  const identity = identityOf(backend, scope, heads * headDim);
  const rows = Array.from({ length: batch }, (_, row) => {
    const one = scope.own(backend.slice(x, 0, row, row + 1));
    const matrix = scope.own(backend.reshape(one, [length, heads * headDim]));
    // A product with the identity transposes, so that the length comes last, where products add up.
    const transposed = scope.own(backend.linear(identity, matrix));
    const short = scope.own(backend.linear(columns, transposed));
    return scope.own(backend.reshape(short, [1, rank, heads, headDim]));
  });
  return scope.own(backend.concat(rows, 0));
}
