/** Partial sums over the rows of a matrix, one for each task: a range of rows, which depends on the shape alone. */
import { loadPart, storePart } from '../lib/lanes';

@unmanaged
export class ColumnSumCall {
  x: usize;
  /** Partial sums `[tasks, columns]`. */
  parts: usize;
  rows: i32;
  columns: i32;
  /** Rows of a task. */
  taskRows: i32;
}

export function columnSum(call: ColumnSumCall, task: i32): void {
  const columns = call.columns;
  const bytes = <usize>columns << 2;
  const first = task * call.taskRows;
  const end = min(first + call.taskRows, call.rows);
  const part = call.parts + <usize>task * bytes;
  memory.copy(part, call.x + <usize>first * bytes, bytes);
  for (let row = first + 1; row < end; row++) {
    const x = call.x + <usize>row * bytes;
    for (let c = 0; c < columns; c += 4) {
      const rest = columns - c;
      const offset = <usize>c << 2;
      storePart(part + offset, f32x4.add(loadPart(part + offset, rest), loadPart(x + offset, rest)), rest);
    }
  }
}
