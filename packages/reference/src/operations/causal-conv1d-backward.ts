import type { CausalConv1dGradients } from '@mamba/core';
import type { CausalConv1dBackwardCall } from '@mamba/core/driver';
import { siluDerivative } from '../scalar.ts';
import { floats, type Input, newFloats, type Storage } from '../storage.ts';
import { inputAt, isReset, preactivation } from './causal-conv1d.ts';

/**
 * Reverse mode through `causalConv1d`. With s_t = bias + Σ_k weight_k x_(t - (width - 1) + k):
 *
 *     ds_t = dy_t activation'(s_t)                 dbias = Σ_t ds_t
 *     dweight_k = Σ_t ds_t x_(t - (width - 1) + k)
 *     dx_i = Σ_t ds_t weight_(i - t + width - 1), plus the cotangent of lastState where it holds x_i
 *
 * Steps before the first belong to `initialState`. Inputs before a reset get no gradient from the steps after it.
 */
export function causalConv1dBackward(call: CausalConv1dBackwardCall<Input>): CausalConv1dGradients<Storage> {
  const { batch, length, dim, width } = call;
  const [weight, dy, dLastState] = [floats(call.weight), floats(call.dy), floats(call.dLastState)];
  const dx = newFloats(batch * length * dim);
  const dweight = newFloats(dim * width);
  const dbias = call.bias && newFloats(dim);
  const dInitialState = call.initialState && newFloats(batch * dim * (width - 1));

  /** Adds to the gradient of the input that `inputAt` reads. */
  const addToInput = (b: number, t: number, c: number, begin: number, gradient: number): void => {
    if (t < begin) return;
    if (t >= 0) dx[(b * length + t) * dim + c]! += gradient;
    else if (dInitialState !== undefined) dInitialState[(b * dim + c) * (width - 1) + (width - 1) + t]! += gradient;
  };

  for (let b = 0; b < batch; b++) {
    for (let c = 0; c < dim; c++) {
      let begin = Number.NEGATIVE_INFINITY;
      for (let t = 0; t < length; t++) {
        if (isReset(call, b, t)) begin = t;
        let ds = dy[(b * length + t) * dim + c]!;
        if (call.activation === 'silu') ds *= siluDerivative(preactivation(call, b, t, c, begin));
        if (dbias !== undefined) dbias[c]! += ds;
        for (let k = 0; k < width; k++) {
          const from = t - (width - 1) + k;
          dweight[c * width + k]! += ds * inputAt(call, b, from, c, begin);
          addToInput(b, from, c, begin, ds * weight[c * width + k]!);
        }
      }
      if (dLastState === undefined) continue;
      for (let k = 0; k < width - 1; k++) {
        addToInput(b, length - (width - 1) + k, c, begin, dLastState[(b * dim + c) * (width - 1) + k]!);
      }
    }
  }
  return {
    x: dx,
    weight: dweight,
    ...(dbias && { bias: dbias }),
    ...(dInitialState && { initialState: dInitialState }),
  };
}
