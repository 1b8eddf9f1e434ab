import type { LinearCall } from '@mamba/core/driver';
import { floats, type Input, newFloats, type Storage } from '../storage.ts';

/** `y[r, o] = Σ_i x[r, i] weight[o, i] + bias[o]` */
export function linear({ x, weight, bias, rows, inputs, outputs }: LinearCall<Input>): Storage {
  const [xs, ws, bs] = [floats(x), floats(weight), floats(bias)];
  const y = newFloats(rows * outputs);
  for (let r = 0; r < rows; r++) {
    for (let o = 0; o < outputs; o++) {
      let sum = 0;
      for (let i = 0; i < inputs; i++) sum += xs[r * inputs + i]! * ws[o * inputs + i]!;
      y[r * outputs + o] = bs === undefined ? sum : sum + bs[o]!;
    }
  }
  return y;
}
