/**
 * Makes panels of the columns of a matrix, once for a product that takes them as outputs and whose many ranges of rows
 * would each make them again. A task is a panel.
 */
import { columns, Layout } from './weights';

@unmanaged
export class LinearColumnsCall {
  matrix: usize;
  layout: Layout;
  rows: i32;
  columns: i32;
  /** Panels of 16 columns, each `[rows, 16]`. */
  to: usize;
  /** Scratch of the first thread, a group of a widened panel; the others' follow, `scratchStride` apart. */
  scratch: usize;
  scratchStride: usize;
}

export function linearColumns(call: LinearColumnsCall, task: i32, thread: i32): void {
  const spare = call.scratch + <usize>thread * call.scratchStride;
  const panel = call.to + <usize>task * (<usize>call.rows << 6);
  columns(call.matrix, call.layout, call.columns, task, 0, call.rows, panel, spare);
}
