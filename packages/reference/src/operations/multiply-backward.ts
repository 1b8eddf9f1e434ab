import type { Activation, MultiplyGradients } from '@mamba/core';
import type { MultiplyBackwardCall } from '@mamba/core/driver';
import {
  eluPlusOneDerivative,
  geluDerivative,
  geluTanhDerivative,
  relu2Derivative,
  sigmoidDerivative,
  siluDerivative,
  tanhDerivative,
} from '../scalar.ts';
import { floats, type Input, newFloats, type Storage } from '../storage.ts';
import { ACTIVATIONS } from './multiply.ts';

const DERIVATIVES: Readonly<Record<Activation, (x: number) => number>> = {
  none: () => 1,
  silu: siluDerivative,
  gelu: geluDerivative,
  'gelu-tanh': geluTanhDerivative,
  relu2: relu2Derivative,
  exp: Math.exp,
  sigmoid: sigmoidDerivative,
  tanh: tanhDerivative,
  'elu-plus-one': eluPlusOneDerivative,
  reciprocal: (x) => -1 / (x * x),
};

/** `da[i] = dy[i] scale f'(a[i]) b[i]` and `db[i] = dy[i] scale f(a[i])` */
export function multiplyBackward(call: MultiplyBackwardCall<Input>): MultiplyGradients<Storage> {
  const { activation, scale, size } = call;
  const [a, b, dy] = [floats(call.a), floats(call.b), floats(call.dy)];
  const da = newFloats(size);
  const db = b && newFloats(size);
  for (let i = 0; i < size; i++) {
    const scaled = dy[i]! * scale;
    da[i] = scaled * DERIVATIVES[activation](a[i]!) * (b?.[i] ?? 1);
    if (db !== undefined) db[i] = scaled * ACTIVATIONS[activation](a[i]!);
  }
  return { a: da, ...(db && { b: db }) };
}
