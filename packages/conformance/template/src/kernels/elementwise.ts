import type { AddCall, MultiplyCall } from '@mamba/core/driver';
import { floatsOf, type Memory, type Storage, type Tensor } from '../memory.ts';
import { ACTIVATIONS } from './functions.ts';

export function add(memory: Memory, call: AddCall<Tensor>): Storage {
  const [a, b] = [floatsOf(call.a), floatsOf(call.b)];
  const [y] = memory.floats(call.size);
  for (let i = 0; i < call.size; i++) y[i] = a[i] + b[i];
  return y;
}

/** `scale * activation(a) * b`; without b, `scale * activation(a)`. */
export function multiply(memory: Memory, call: MultiplyCall<Tensor>): Storage {
  const [a, b, activate] = [floatsOf(call.a), floatsOf(call.b), ACTIVATIONS[call.activation]];
  const [y] = memory.floats(call.size);
  for (let i = 0; i < call.size; i++) y[i] = call.scale * activate(a[i]) * (b?.[i] ?? 1);
  return y;
}
