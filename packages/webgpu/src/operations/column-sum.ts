import { columnSum as shader } from '../generated/index.ts';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';

/** A matrix `[rows, columns]` in a buffer; `begin` is the place of its first element. */
export interface Columns {
  readonly x: BufferRange;
  readonly begin: number;
  readonly rows: number;
  readonly columns: number;
}

/** Columns of a workgroup, and lanes of a column: COLUMNS and SHARES of the shader. */
const COLUMNS = 32;
const SHARES = 8;
/** Workgroups that fill a device, the shortest part, and the rows up to which a second pass does not pay. */
const FILLING = 1024;
const SHORTEST_PART = 4 * SHARES;
const WHOLE_ROWS = 256;

/** Writes the sums over all rows to y, `[columns]`, in an order that depends on the sizes alone. */
export function sumColumns(gpu: Gpu, { x, begin, rows, columns }: Columns, y: BufferRange): void {
  const tiles = Math.ceil(columns / COLUMNS);
  const parts = Math.min(Math.ceil(rows / SHORTEST_PART), Math.ceil(FILLING / tiles));
  if (parts === 1 || rows <= WHOLE_ROWS) {
    pass(gpu, { x, begin, rows, columns }, rows, y);
    return;
  }
  gpu.allocating((allocator) => {
    const partRows = Math.ceil(rows / parts);
    const summed = Math.ceil(rows / partRows);
    const sums = wholeRange(allocator.scratch(4 * summed * columns, 'column-sum parts'));
    pass(gpu, { x, begin, rows, columns }, partRows, sums);
    pass(gpu, { x: sums, begin: 0, rows: summed, columns }, summed, y);
  });
}

function pass(gpu: Gpu, { x, begin, rows, columns }: Columns, partRows: number, y: BufferRange): void {
  gpu.dispatch(shader, {
    bindings: { x, y },
    uniforms: { rows, columns, partRows, begin },
    workgroups: [Math.ceil(columns / COLUMNS), Math.ceil(rows / partRows)],
  });
}
