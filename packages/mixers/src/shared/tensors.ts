/** Small tensors that compositions need, and the axis of heads. */
import type { Backend, Tensor } from '@mamba/core';
import type { Scope } from '@mamba/core/toolkit';

/** A tensor of one value, owned by `scope`. */
export function filled(backend: Backend, scope: Scope, shape: readonly number[], value: number): Tensor {
  const data = new Float64Array(shape.reduce((size, extent) => size * extent, 1)).fill(value);
  return scope.own(backend.upload({ dtype: 'float64', shape, data }));
}

/** `[batch, length, heads * channels]` → `[batch, length, heads, channels]` */
export function splitHeads(backend: Backend, scope: Scope, x: Tensor, heads: number): Tensor {
  const [batch, length, width] = x.shape as [number, number, number];
  return scope.own(backend.reshape(x, [batch, length, heads, width / heads]));
}

/** `[batch, length, heads, channels]` → `[batch, length, heads * channels]` */
export function joinHeads(backend: Backend, scope: Scope, x: Tensor): Tensor {
  const [batch, length, heads, channels] = x.shape as [number, number, number, number];
  return scope.own(backend.reshape(x, [batch, length, heads * channels]));
}

/** One row and head of `[batch, length, heads, channels]` as a matrix `[length, channels]`. */
export function rowsOf(backend: Backend, scope: Scope, x: Tensor, row: number, head: number): Tensor {
  const [, length, , channels] = x.shape as [number, number, number, number];
  const one = scope.own(backend.slice(x, 0, row, row + 1));
  const cut = scope.own(backend.slice(one, 2, head, head + 1));
  return scope.own(backend.reshape(cut, [length, channels]));
}
