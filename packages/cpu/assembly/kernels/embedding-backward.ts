/**
 * The gradient of an embedding's table: the rows of dy are added, in the order of the ids, to the rows of the table
 * that they name; an id below 0 names none. A task is a range of the table's rows, and looks at all ids, so every row
 * has one writer. Each row of dy is read once, and the gradient is cleared and written once.
 */
import { loadPart, storePart } from '../lib/lanes';

/** Addresses are in bytes. */
@unmanaged
export class EmbeddingBackwardCall {
  ids: usize;
  dy: usize;
  dTable: usize;
  count: i32;
  rows: i32;
  channels: i32;
  /** Rows of the table in a task. */
  taskRows: i32;
}

export function embeddingBackward(call: EmbeddingBackwardCall, task: i32): void {
  const channels = call.channels;
  const bytes = <usize>channels << 2;
  const first = task * call.taskRows;
  const end = min(first + call.taskRows, call.rows);
  memory.fill(call.dTable + <usize>first * bytes, 0, <usize>(end - first) * bytes);
  for (let index = 0; index < call.count; index++) {
    const row = load<i32>(call.ids + (<usize>index << 2));
    if (row < first || row >= end) continue;
    const from = call.dy + <usize>index * bytes;
    const to = call.dTable + <usize>row * bytes;
    for (let c = 0; c < channels; c += 4) {
      const rest = channels - c;
      const offset = <usize>c << 2;
      storePart(to + offset, f32x4.add(loadPart(to + offset, rest), loadPart(from + offset, rest)), rest);
    }
  }
}
