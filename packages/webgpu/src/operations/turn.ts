import { turn as shader } from '../generated/index.ts';
import { type Allocator, type Gpu, wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';

/** A float32 matrix `[rows, columns]`, both multiples of 4, as `[columns, rows]` in scratch. */
export function turn(gpu: Gpu, allocator: Allocator, x: BufferRange, rows: number, columns: number): BufferRange {
  const y = wholeRange(allocator.scratch(4 * rows * columns, 'turned'));
  gpu.dispatch(shader, {
    bindings: { x, y },
    uniforms: { rows, columns },
    workgroups: [Math.ceil(columns / 64), Math.ceil(rows / 64)],
  });
  return y;
}
