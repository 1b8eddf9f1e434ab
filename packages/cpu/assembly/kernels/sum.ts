/** y = the sum of partial sums that lie one behind the other, added in their order. */
import { loadPart, storePart } from '../lib/lanes';

@unmanaged
export class SumCall {
  parts: usize;
  y: usize;
  /** Values of y, and of each part. */
  size: i32;
  count: i32;
  /** Values of a task, a multiple of four. */
  taskValues: i32;
}

export function sumParts(call: SumCall, task: i32): void {
  const first = task * call.taskValues;
  const end = min(first + call.taskValues, call.size);
  const stride = <usize>call.size << 2;
  for (let index = first; index < end; index += 4) {
    const rest = end - index;
    const offset = <usize>index << 2;
    let part = call.parts + offset;
    let total = loadPart(part, rest);
    for (let next = 1; next < call.count; next++) {
      part += stride;
      total = f32x4.add(total, loadPart(part, rest));
    }
    storePart(call.y + offset, total, rest);
  }
}
