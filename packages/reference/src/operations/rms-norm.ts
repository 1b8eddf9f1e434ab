import type { RmsNormCall } from '@mamba/core/driver';
import { floats, type Input, newFloats, type Storage } from '../storage.ts';

/** `y[r, c] = x[r, c] / sqrt(mean_c(x[r, c]²) + eps) * weight[c]` */
export function rmsNorm({ x, weight, eps, rows, channels }: RmsNormCall<Input>): Storage {
  const [xs, ws] = [floats(x), floats(weight)];
  const y = newFloats(rows * channels);
  for (let r = 0; r < rows; r++) {
    let squares = 0;
    for (let c = 0; c < channels; c++) squares += xs[r * channels + c]! ** 2;
    const root = Math.sqrt(squares / channels + eps);
    for (let c = 0; c < channels; c++) {
      const normed = xs[r * channels + c]! / root;
      y[r * channels + c] = ws === undefined ? normed : normed * ws[c]!;
    }
  }
  return y;
}
