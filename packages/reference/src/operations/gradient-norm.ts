import type { GradientNormCall } from '@mamba/core/driver';
import { floats, type Input, newFloats, type Storage } from '../storage.ts';

/** `sqrt(Σ g²)` over all elements of all tensors */
export function gradientNorm({ gradients }: GradientNormCall<Input>): Storage {
  let squares = 0;
  for (const gradient of gradients) for (const value of floats(gradient)) squares += value * value;
  const norm = newFloats(1);
  norm[0] = Math.sqrt(squares);
  return norm;
}
