/** What the gradients of both norms share. */
import { normBackward as shader } from '../generated/index.ts';
import { type Allocator, type Gpu, rowWorkgroup, wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';

export interface NormBackward {
  readonly x: BufferRange;
  readonly weight: BufferRange | undefined;
  readonly dy: BufferRange;
  readonly dx: BufferRange;
  readonly rows: number;
  readonly channels: number;
  readonly eps: number;
  /** Whether the mean is subtracted, as layerNorm does. */
  readonly centered: boolean;
}

/** Writes the gradient of x, and returns the moments of its rows, in scratch, for the gradient of the weight. */
export function differentiateNorm(gpu: Gpu, allocator: Allocator, call: NormBackward): BufferRange {
  const { x, weight, dy, dx, rows, channels, eps, centered } = call;
  const moments = wholeRange(allocator.scratch(16 * rows, 'norm-backward moments'));
  gpu.dispatch(shader, {
    overrides: { WORKGROUP: rowWorkgroup(gpu, channels), WEIGHT: weight !== undefined, CENTERED: centered },
    bindings: { x, weight: weight ?? gpu.unusedInput, dy, dx, moments },
    uniforms: { rows, channels, eps },
    workgroups: gpu.grid(rows),
  });
  return moments;
}
