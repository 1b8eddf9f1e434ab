import type { DeviceTensor, EmbeddingCall } from '@mamba/core/driver';
import { embedding as shader } from '../generated/index.ts';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { FORMATS, rangeOf, type Storage, unsplitStorage } from '../storage.ts';

export function embedding(
  gpu: Gpu,
  { table, ids, count, rows, channels }: EmbeddingCall<DeviceTensor<Storage>>,
): Storage {
  return gpu.allocating((allocator) => {
    const y = allocator.result(4 * count * channels, 'embedding');
    gatherRows(gpu, table.storage, {
      tableRows: rows,
      ids: rangeOf(ids),
      count,
      idRow: 1,
      idOffset: 0,
      channels,
      y: wholeRange(y),
    });
    return unsplitStorage(y);
  });
}

export interface GatherRows {
  /** Rows of the table. */
  readonly tableRows: number;
  readonly ids: BufferRange;
  readonly count: number;
  /** Elements from one id to the next; `idOffset` is the place of the first one. */
  readonly idRow: number;
  readonly idOffset: number;
  readonly channels: number;
  readonly y: BufferRange;
  /** Whether the rows are added to y. Default false. */
  readonly accumulate?: boolean | undefined;
}

/** Gathers rows of a table, with one dispatch for each of its parts. Every id is in exactly one part. */
export function gatherRows(
  gpu: Gpu,
  table: Storage,
  { tableRows, ids, count, idRow, idOffset, channels, y, accumulate = false }: GatherRows,
): void {
  const format = FORMATS[table.format as keyof typeof FORMATS];
  for (const { firstRow, rows: most, values, scales } of table.parts) {
    const rows = Math.min(most, tableRows - firstRow);
    gpu.dispatch(shader, {
      overrides: { FORMAT: format, ALIGNED: channels % 4 === 0, ACCUMULATE: accumulate },
      bindings: { weight: values, scales: scales ?? gpu.unusedInput, ids, y },
      uniforms: { inputs: channels, count, firstRow, rows, idRow, idOffset, zero: 0 },
      workgroups: gpu.grid(Math.ceil((count * Math.ceil(channels / 4)) / 64)),
    });
  }
}
