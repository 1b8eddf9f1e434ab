import { columnSum as shader } from '../generated/index.ts';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';

/** A matrix `[rows, columns]` in a buffer. */
export interface Columns {
  readonly x: BufferRange;
  /** The place of its first element. Default 0. */
  readonly begin?: number | undefined;
  readonly rows: number;
  readonly columns: number;
  /** A matrix that it is multiplied by, element by element, with its rows normalised by their moments. */
  readonly normed?: { readonly x: BufferRange; readonly moments: BufferRange } | undefined;
}

/** Columns of a workgroup, and lanes of a column: COLUMNS and SHARES of the shader. */
const COLUMNS = 32;
const SHARES = 8;
/** Workgroups that fill a device, the shortest part, and the rows up to which a second pass does not pay. */
const FILLING = 1024;
const SHORTEST_PART = 4 * SHARES;
const WHOLE_ROWS = 256;

/** Writes the sums over all rows to y, `[columns]`, in an order that depends on the sizes alone. */
export function sumColumns(gpu: Gpu, matrix: Columns, y: BufferRange): void {
  const { rows, columns } = matrix;
  const parts = Math.min(Math.ceil(rows / SHORTEST_PART), Math.ceil(FILLING / Math.ceil(columns / COLUMNS)));
  if (parts === 1 || rows <= WHOLE_ROWS) {
    pass(gpu, matrix, rows, y);
    return;
  }
  gpu.allocating((allocator) => {
    const partRows = Math.ceil(rows / parts);
    const summed = Math.ceil(rows / partRows);
    const sums = wholeRange(allocator.scratch(4 * summed * columns, 'column-sum parts'));
    pass(gpu, matrix, partRows, sums);
    pass(gpu, { x: sums, rows: summed, columns }, summed, y);
  });
}

function pass(gpu: Gpu, { x, begin = 0, rows, columns, normed }: Columns, partRows: number, y: BufferRange): void {
  gpu.dispatch(shader, {
    overrides: { NORMED: normed !== undefined },
    bindings: { x, y, other: normed?.x ?? gpu.unusedInput, moments: normed?.moments ?? gpu.unusedInput },
    uniforms: { rows, columns, partRows, begin },
    workgroups: [Math.ceil(columns / COLUMNS), Math.ceil(rows / partRows)],
  });
}
