/** Small tensors that compositions need, and the axis of heads. */
import type { Backend, Tensor } from '@mamba/core';
import type { Scope } from '@mamba/core/toolkit';

/** A tensor of one value, owned by `scope`. */
export function filled(backend: Backend, scope: Scope, shape: readonly number[], value: number): Tensor {
  const data = new Float32Array(shape.reduce((size, extent) => size * extent, 1)).fill(value);
  return scope.own(backend.upload({ dtype: 'float32', shape, data }));
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
