import type { ScanResult } from '@mamba/core';
import type { CausalConv1dCall } from '@mamba/core/driver';
import { floatsOf, integersOf, type Memory, type Storage, type Tensor } from '../memory.ts';
import { silu } from './functions.ts';

/** Each channel keeps a window of its last `width` inputs, and y is the window's product with the weight. */
export function causalConv1d(memory: Memory, call: CausalConv1dCall<Tensor>): ScanResult<Storage> {
  const { batch, length, dim, width } = call;
  const [x, weight] = [floatsOf(call.x), floatsOf(call.weight)];
  const [bias, initial] = [floatsOf(call.bias), floatsOf(call.initialState)];
  const resets = integersOf(call.resets);
  const [y, lastState] = memory.floats(batch * length * dim, batch * dim * (width - 1));
  if (initial !== undefined) lastState.set(initial);

  const window = new Float32Array(width);
  for (let b = 0; b < batch; b++) {
    for (let c = 0; c < dim; c++) {
      const start = (b * dim + c) * (width - 1);
      const past = lastState.subarray(start, start + width - 1);
      window.set(past, 1);
      for (let t = 0; t < length; t++) {
        if (resets?.[b * length + t]) window.fill(0);
        const at = (b * length + t) * dim + c;
        window.copyWithin(0, 1);
        window[width - 1] = x[at];
        let sum = bias?.[c] ?? 0;
        for (let k = 0; k < width; k++) sum += weight[c * width + k] * window[k];
        y[at] = call.activation === 'silu' ? silu(sum) : sum;
      }
      past.set(window.subarray(1));
    }
  }
  return { y, lastState };
}
