import type { GatedRmsNormCall } from '@mamba/core/driver';
import { silu } from '../scalar.ts';
import { floats, type Input, newFloats, type Storage } from '../storage.ts';

/** `y = v / sqrt(mean_group(v²) + eps) * weight` with v = x silu(z); or v = x, and y times silu(z). */
export function gatedRmsNorm(call: GatedRmsNormCall<Input>): Storage {
  const { eps, normBeforeGate, rows, channels, groupSize } = call;
  const [x, z, weight] = [floats(call.x), floats(call.z), floats(call.weight)];
  const y = newFloats(rows * channels);
  const gate = (i: number): number => (z === undefined ? 1 : silu(z[i]!));
  const before = (i: number): number => (normBeforeGate ? x[i]! : x[i]! * gate(i));
  for (let first = 0; first < rows * channels; first += groupSize) {
    let squares = 0;
    for (let i = first; i < first + groupSize; i++) squares += before(i) ** 2;
    const root = Math.sqrt(squares / groupSize + eps);
    for (let i = first; i < first + groupSize; i++) {
      const normed = (before(i) / root) * (weight?.[i % channels] ?? 1);
      y[i] = normBeforeGate ? normed * gate(i) : normed;
    }
  }
  return y;
}
