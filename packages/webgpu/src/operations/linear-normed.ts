/** A product of many rows that is added to the residual, joined with the RMS norm that reads the residual next. */
import { linearSumNorm } from '../generated/index.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import type { Storage } from '../storage.ts';
import type { KernelContext } from './kernel-context.ts';
import { type Projection, project, projectInParts, VECTOR_ROWS } from './linear.ts';

/** An RMS norm with the memory that takes its rows. */
export interface NextNorm {
  readonly weight: BufferRange;
  readonly eps: number;
  /** `[rows, channels]` */
  readonly y: BufferRange;
}

type ResidualProjection = Pick<Projection, 'x' | 'rows' | 'inputs' | 'outputs' | 'bias' | 'y' | 'accumulate'>;

/**
 * As `project`, for dense rows. Where the product runs in tiles and is added to y, the dispatch that adds up its parts
 * applies `next` to the rows of y as well. Returns whether it did.
 */
export function projectWithNorm(
  kernels: KernelContext,
  weight: Storage,
  call: ResidualProjection,
  next: NextNorm | undefined,
): boolean {
  const { gpu } = kernels;
  const { x, rows, inputs, outputs, bias, y, accumulate } = call;
  const joins = rows > VECTOR_ROWS && accumulate === true && weight.parts.length === 1 && outputs % 4 === 0;
  if (next === undefined || !joins) {
    project(kernels, weight, call);
    return false;
  }
  gpu.allocating((allocator) => {
    const { parts, splits } = projectInParts(kernels, allocator, weight, { x, rows, inputs, outputs });
    const quads = outputs / 4;
    const workgroup = workgroupOf(gpu, quads);
    gpu.dispatch(linearSumNorm, {
      constants: { EACH: Math.ceil(quads / workgroup) },
      overrides: { WORKGROUP: workgroup, BIAS: bias !== undefined },
      bindings: { x: parts, bias: bias ?? gpu.unusedInput, weight: next.weight, y, normed: next.y },
      uniforms: { rows, quads, parts: splits, eps: next.eps },
      workgroups: gpu.grid(rows),
    });
  });
  return true;
}

/** There are few rows, so a workgroup has a lane for each vec4 of its row where the device allows as many. */
function workgroupOf(gpu: Gpu, quads: number): number {
  return gpu.workgroup(Math.max(32, 2 ** Math.ceil(Math.log2(quads))));
}
