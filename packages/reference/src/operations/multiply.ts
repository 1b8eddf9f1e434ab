import type { Activation } from '@mamba/core';
import type { MultiplyCall } from '@mamba/core/driver';
import { eluPlusOne, gelu, geluTanh, relu2, sigmoid, silu } from '../scalar.ts';
import { floats, type Input, newFloats, type Storage } from '../storage.ts';

/** The functions f. */
export const ACTIVATIONS: Readonly<Record<Activation, (x: number) => number>> = {
  none: (x) => x,
  silu,
  gelu,
  'gelu-tanh': geluTanh,
  relu2,
  exp: Math.exp,
  sigmoid,
  tanh: Math.tanh,
  'elu-plus-one': eluPlusOne,
  reciprocal: (x) => 1 / x,
};

/** `y[i] = scale * activation(a[i]) * b[i]` */
export function multiply({ a, b, activation, scale, size }: MultiplyCall<Input>): Storage {
  const [as, bs] = [floats(a), floats(b)];
  const activate = ACTIVATIONS[activation];
  const y = newFloats(size);
  for (let i = 0; i < size; i++) {
    const product = scale * activate(as[i]!);
    y[i] = bs === undefined ? product : product * bs[i]!;
  }
  return y;
}
