import type { AddCall } from '@mamba/core/driver';
import { floats, type Input, newFloats, type Storage } from '../storage.ts';

/** `y[i] = a[i] + b[i]` */
export function add({ a, b, size }: AddCall<Input>): Storage {
  const [as, bs] = [floats(a), floats(b)];
  const y = newFloats(size);
  for (let i = 0; i < size; i++) y[i] = as[i]! + bs[i]!;
  return y;
}
