import type { LinearCall } from '@mamba/core/driver';
import { floatsOf, type Memory, type Storage, type Tensor } from '../memory.ts';

/** Every output is the product of a row of x with a row of weight: where most time of a model goes. */
export function linear(memory: Memory, call: LinearCall<Tensor>): Storage {
  const { rows, inputs, outputs } = call;
  const [x, weight, bias] = [floatsOf(call.x), floatsOf(call.weight), floatsOf(call.bias)];
  const [y] = memory.floats(rows * outputs);
  for (let at = 0; at < y.length; at++) {
    const output = at % outputs;
    const [inX, inWeight] = [((at - output) / outputs) * inputs, output * inputs];
    let sum = bias?.[output] ?? 0;
    for (let i = 0; i < inputs; i++) sum += x[inX + i] * weight[inWeight + i];
    y[at] = sum;
  }
  return y;
}
