import type { CrossEntropyBackwardCall } from '@mamba/core/driver';
import { floats, type Input, integers, newFloats, type Storage } from '../storage.ts';
import { softmax } from './softmax.ts';

/** `dlogits[r, v] = dy[r] (p[v] - (1 - s) (v = targets[r]) - s / vocab)`, and 0 where the target is below 0 */
export function crossEntropyBackward(call: CrossEntropyBackwardCall<Input>): Storage {
  const { labelSmoothing, rows, vocab } = call;
  const [values, at, cotangents] = [floats(call.logits), integers(call.targets), floats(call.dy)];
  const dlogits = newFloats(rows * vocab);
  for (let r = 0; r < rows; r++) {
    if (at[r]! < 0) continue;
    const p = softmax(values.subarray(r * vocab, (r + 1) * vocab));
    for (let v = 0; v < vocab; v++) {
      const target = (v === at[r] ? 1 - labelSmoothing : 0) + labelSmoothing / vocab;
      dlogits[r * vocab + v] = cotangents[r]! * (p[v]! - target);
    }
  }
  return dlogits;
}
