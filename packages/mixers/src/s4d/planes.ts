import type { Backend, Tensor } from '@mamba/core';
import type { Scope } from '@mamba/core/toolkit';

/** Real and imaginary parts as two planes along a new axis of one tensor; real parts alone stay as they are. */
export function planesOf(backend: Backend, scope: Scope, re: Tensor, im: Tensor | undefined, axis = 0): Tensor {
  if (im === undefined) return re;
  const shape = [...re.shape.slice(0, axis), 1, ...re.shape.slice(axis)];
  const planes = [re, im].map((part) => scope.own(backend.reshape(part, shape)));
  return scope.own(backend.concat(planes, axis));
}
