import type { LayerNormCall, RmsNormCall } from '@mamba/core/driver';
import { floatsOf, type Memory, type Storage, type Tensor } from '../memory.ts';

/** `x / √(mean(x²) + eps) * weight`, for each row. */
export function rmsNorm(memory: Memory, call: RmsNormCall<Tensor>): Storage {
  return normalise(memory, call, () => 0);
}

/** `(x - mean) / √(mean((x - mean)²) + eps) * weight + bias`, for each row. */
export function layerNorm(memory: Memory, call: LayerNormCall<Tensor>): Storage {
  return normalise(memory, call, mean, floatsOf(call.bias));
}

function normalise(
  memory: Memory,
  { x, weight, eps, rows, channels }: RmsNormCall<Tensor>,
  centreOf: (row: Float32Array) => number,
  bias?: Float32Array,
): Storage {
  const [values, factors] = [floatsOf(x), floatsOf(weight)];
  const [y] = memory.floats(rows * channels);
  for (let start = 0; start < y.length; start += channels) {
    const row = values.subarray(start, start + channels);
    const centre = centreOf(row);
    const root = Math.sqrt(row.reduce((sum, value) => sum + (value - centre) ** 2, 0) / channels + eps);
    for (let c = 0; c < channels; c++)
      y[start + c] = ((row[c] - centre) / root) * (factors?.[c] ?? 1) + (bias?.[c] ?? 0);
  }
  return y;
}

function mean(row: Float32Array): number {
  return row.reduce((sum, value) => sum + value, 0) / row.length;
}
