import type { LayerNormGradients } from '@mamba/core';
import type { LayerNormBackwardCall } from '@mamba/core/driver';
import { floats, type Input, newFloats, type Storage } from '../storage.ts';

/**
 * With n = (x - mean) / root and dn = dy weight: `dx = (dn - mean(dn) - n mean(dn n)) / root`, `dweight = Σ_rows dy n`
 * and `dbias = Σ_rows dy`.
 */
export function layerNormBackward(call: LayerNormBackwardCall<Input>): LayerNormGradients<Storage> {
  const { eps, rows, channels } = call;
  const [x, weight, dy] = [floats(call.x), floats(call.weight), floats(call.dy)];
  const dx = newFloats(rows * channels);
  const dweight = weight && newFloats(channels);
  const dbias = call.bias && newFloats(channels);
  for (let r = 0; r < rows; r++) {
    const first = r * channels;
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += x[first + c]!;
    const mean = sum / channels;
    let squares = 0;
    for (let c = 0; c < channels; c++) squares += (x[first + c]! - mean) ** 2;
    const root = Math.sqrt(squares / channels + eps);
    let total = 0;
    let along = 0;
    for (let c = 0; c < channels; c++) {
      const normed = (x[first + c]! - mean) / root;
      const dn = dy[first + c]! * (weight?.[c] ?? 1);
      total += dn;
      along += dn * normed;
      if (dweight !== undefined) dweight[c]! += dy[first + c]! * normed;
      if (dbias !== undefined) dbias[c]! += dy[first + c]!;
    }
    for (let c = 0; c < channels; c++) {
      const normed = (x[first + c]! - mean) / root;
      const dn = dy[first + c]! * (weight?.[c] ?? 1);
      dx[first + c] = (dn - total / channels - normed * (along / channels)) / root;
    }
  }
  return { x: dx, ...(dweight && { weight: dweight }), ...(dbias && { bias: dbias }) };
}
