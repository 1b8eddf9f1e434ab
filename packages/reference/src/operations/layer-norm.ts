import type { LayerNormCall } from '@mamba/core/driver';
import { floats, type Input, newFloats, type Storage } from '../storage.ts';

/** `y[r, c] = (x[r, c] - m) / sqrt(mean_c((x[r, c] - m)²) + eps) * weight[c] + bias[c]` with `m = mean_c(x[r, c])` */
export function layerNorm({ x, weight, bias, eps, rows, channels }: LayerNormCall<Input>): Storage {
  const [xs, ws, bs] = [floats(x), floats(weight), floats(bias)];
  const y = newFloats(rows * channels);
  for (let r = 0; r < rows; r++) {
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += xs[r * channels + c]!;
    const mean = sum / channels;
    let squares = 0;
    for (let c = 0; c < channels; c++) squares += (xs[r * channels + c]! - mean) ** 2;
    const root = Math.sqrt(squares / channels + eps);
    for (let c = 0; c < channels; c++) {
      const normed = (xs[r * channels + c]! - mean) / root;
      y[r * channels + c] = normed * (ws?.[c] ?? 1) + (bs?.[c] ?? 0);
    }
  }
  return y;
}
