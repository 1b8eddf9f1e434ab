import type { GatedRmsNormGradients } from '@mamba/core';
import type { GatedRmsNormBackwardCall } from '@mamba/core/driver';
import { silu, siluDerivative } from '../scalar.ts';
import { floats, type Input, newFloats, type Storage } from '../storage.ts';

/**
 * With s = silu(z), v = x s (or x where normBeforeGate), n = v / root and dn = dy weight (times s where
 * normBeforeGate): `dv = (dn - n mean(dn n)) / root`, from which dx and dz follow by the product rule.
 */
export function gatedRmsNormBackward(call: GatedRmsNormBackwardCall<Input>): GatedRmsNormGradients<Storage> {
  const { eps, normBeforeGate, rows, channels, groupSize } = call;
  const [x, z, weight, dy] = [floats(call.x), floats(call.z), floats(call.weight), floats(call.dy)];
  const dx = newFloats(x.length);
  const dz = z && newFloats(x.length);
  const dweight = weight && newFloats(channels);
  const gate = (i: number): number => (z === undefined ? 1 : silu(z[i]!));
  const slope = (i: number): number => (z === undefined ? 0 : siluDerivative(z[i]!));
  const before = (i: number): number => (normBeforeGate ? x[i]! : x[i]! * gate(i));
  const after = (i: number): number => (normBeforeGate ? gate(i) : 1);
  for (let first = 0; first < rows * channels; first += groupSize) {
    let squares = 0;
    for (let i = first; i < first + groupSize; i++) squares += before(i) ** 2;
    const root = Math.sqrt(squares / groupSize + eps);
    let along = 0;
    for (let i = first; i < first + groupSize; i++) {
      const scaled = dy[i]! * after(i);
      const normed = before(i) / root;
      along += scaled * (weight?.[i % channels] ?? 1) * normed;
      if (dweight !== undefined) dweight[i % channels]! += scaled * normed;
    }
    for (let i = first; i < first + groupSize; i++) {
      const weighted = dy[i]! * (weight?.[i % channels] ?? 1);
      const normed = before(i) / root;
      const dv = (weighted * after(i) - normed * (along / groupSize)) / root;
      dx[i] = normBeforeGate ? dv : dv * gate(i);
      if (dz !== undefined) dz[i] = (normBeforeGate ? weighted * normed : dv * x[i]!) * slope(i);
    }
  }
  return { x: dx, ...(dz && { z: dz }), ...(dweight && { weight: dweight }) };
}
