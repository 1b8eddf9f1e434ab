import type { RmsNormGradients } from '@mamba/core';
import type { RmsNormBackwardCall } from '@mamba/core/driver';
import { floats, type Input, newFloats, type Storage } from '../storage.ts';

/** With n = x / root and dn = dy weight: `dx = (dn - n mean(dn n)) / root` and `dweight = Σ_rows dy n`. */
export function rmsNormBackward(call: RmsNormBackwardCall<Input>): RmsNormGradients<Storage> {
  const { eps, rows, channels } = call;
  const [x, weight, dy] = [floats(call.x), floats(call.weight), floats(call.dy)];
  const dx = newFloats(rows * channels);
  const dweight = weight && newFloats(channels);
  for (let r = 0; r < rows; r++) {
    const first = r * channels;
    let squares = 0;
    for (let c = 0; c < channels; c++) squares += x[first + c]! ** 2;
    const root = Math.sqrt(squares / channels + eps);
    let along = 0;
    for (let c = 0; c < channels; c++) {
      const normed = x[first + c]! / root;
      along += dy[first + c]! * (weight?.[c] ?? 1) * normed;
      if (dweight !== undefined) dweight[c]! += dy[first + c]! * normed;
    }
    for (let c = 0; c < channels; c++) {
      const dn = dy[first + c]! * (weight?.[c] ?? 1);
      dx[first + c] = (dn - (x[first + c]! / root) * (along / channels)) / root;
    }
  }
  return { x: dx, ...(dweight && { weight: dweight }) };
}
