import type { ScanResult } from '@mamba/core';
import type { CausalConv1dCall } from '@mamba/core/driver';
import { silu } from '../scalar.ts';
import { floats, type Input, integers, newFloats, type Storage } from '../storage.ts';

/**
 * The short depthwise convolution of Mamba's block (arXiv 2312.00752, figure 3):
 *
 *     y[b, t, d] = activation(bias[d] + Σ_k weight[d, k] x[b, t - (width - 1) + k, d])
 *
 * where x before step 0 is `initialState`, and x before the last reset at or before t is zero.
 */
export function causalConv1d(call: CausalConv1dCall<Input>): ScanResult<Storage> {
  const { batch, length, dim, width } = call;
  const y = newFloats(batch * length * dim);
  const lastState = newFloats(batch * dim * (width - 1));
  for (let b = 0; b < batch; b++) {
    for (let c = 0; c < dim; c++) {
      let begin = Number.NEGATIVE_INFINITY;
      for (let t = 0; t < length; t++) {
        if (isReset(call, b, t)) begin = t;
        const sum = preactivation(call, b, t, c, begin);
        y[(b * length + t) * dim + c] = call.activation === 'silu' ? silu(sum) : sum;
      }
      for (let k = 0; k < width - 1; k++) {
        lastState[(b * dim + c) * (width - 1) + k] = inputAt(call, b, length - (width - 1) + k, c, begin);
      }
    }
  }
  return { y, lastState };
}

/** bias[c] + Σ_k weight[c, k] x[b, t - (width - 1) + k, c], where x before step `begin` is zero. */
export function preactivation(call: CausalConv1dCall<Input>, b: number, t: number, c: number, begin: number): number {
  const { width } = call;
  const weight = floats(call.weight);
  let sum = floats(call.bias)?.[c] ?? 0;
  for (let k = 0; k < width; k++) sum += weight[c * width + k]! * inputAt(call, b, t - (width - 1) + k, c, begin);
  return sum;
}

/**
 * x at step t, which may lie before the first step. It is zero before step `begin`, the last reset (-Infinity without a
 * reset).
 */
export function inputAt(call: CausalConv1dCall<Input>, b: number, t: number, c: number, begin: number): number {
  const { length, dim, width } = call;
  if (t < begin) return 0;
  if (t >= 0) return floats(call.x)[(b * length + t) * dim + c]!;
  return floats(call.initialState)?.[(b * dim + c) * (width - 1) + (width - 1) + t] ?? 0;
}

export function isReset(call: CausalConv1dCall<Input>, b: number, t: number): boolean {
  const resets = integers(call.resets);
  return resets !== undefined && resets[b * call.length + t] !== 0;
}
