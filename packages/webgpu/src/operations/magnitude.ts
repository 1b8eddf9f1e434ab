import { magnitude as shader } from '../generated/index.ts';
import { type Allocator, type Gpu, wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';

/** Elements that a workgroup looks at. */
const SPAN = 32_768;

/** The largest magnitude of `size` elements of x, as the bits of a float, in scratch. */
export function largestMagnitude(gpu: Gpu, allocator: Allocator, x: BufferRange, size: number): BufferRange {
  const largest = wholeRange(allocator.scratch(4, 'magnitude'));
  gpu.recorder.clear(largest.buffer, 0, largest.size);
  gpu.dispatch(shader, {
    bindings: { x, largest },
    uniforms: { size, span: SPAN },
    workgroups: gpu.grid(Math.ceil(size / SPAN)),
  });
  return largest;
}
