import type { LinearGradients } from '@mamba/core';
import type { LinearBackwardCall } from '@mamba/core/driver';
import { floats, type Input, newFloats, type Storage } from '../storage.ts';

/**
 * `dx[r, i] = Σ_o dy[r, o] weight[o, i]`, `dweight[o, i] = Σ_r dy[r, o] x[r, i]` and `dbias[o] = Σ_r dy[r, o]`, where
 * they are wanted.
 */
export function linearBackward(call: LinearBackwardCall<Input>): LinearGradients<Storage> {
  const { rows, inputs, outputs, wanted } = call;
  const [x, weight, dy] = [floats(call.x), floats(call.weight), floats(call.dy)];
  const dx = wanted.includes('x') ? newFloats(rows * inputs) : undefined;
  const dweight = wanted.includes('weight') ? newFloats(outputs * inputs) : undefined;
  const dbias = wanted.includes('bias') ? newFloats(outputs) : undefined;
  for (let r = 0; r < rows; r++) {
    for (let o = 0; o < outputs; o++) {
      const cotangent = dy[r * outputs + o]!;
      if (dbias !== undefined) dbias[o]! += cotangent;
      for (let i = 0; i < inputs; i++) {
        if (dx !== undefined) dx[r * inputs + i]! += cotangent * weight[o * inputs + i]!;
        if (dweight !== undefined) dweight[o * inputs + i]! += cotangent * x[r * inputs + i]!;
      }
    }
  }
  return { ...(dx && { x: dx }), ...(dweight && { weight: dweight }), ...(dbias && { bias: dbias }) };
}
