/** A product of many rows that is added to the residual, joined with the norms that read the residual next. */
import { linearSumNorm } from '../generated/index.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import type { Storage } from '../storage.ts';
import type { KernelContext } from './kernel-context.ts';
import { normaliseLayer } from './layer-norm.ts';
import { type Projection, project, projectInParts, VECTOR_ROWS } from './linear.ts';

/** An RMS norm, or LayerNorms of the same rows: one, or those of parallel blocks. */
export interface Norms {
  readonly kind: 'rms' | 'layer';
  /** 1 for an RMS norm. */
  readonly count: number;
  /** `[count, channels]` */
  readonly weight: BufferRange;
  /** `[count, channels]`, of LayerNorm: behind the weights, in the same buffer. */
  readonly bias: BufferRange | undefined;
  readonly eps: number;
}

/** Norms with the memory that takes their rows. */
export interface NextNorms extends Norms {
  /** `[count, rows, channels]`, with `apart` elements from one norm's rows to the next. */
  readonly y: BufferRange;
  readonly apart: number;
}

/** Dispatches LayerNorms. */
export function applyNorms(
  gpu: Gpu,
  { count, apart, ...norms }: NextNorms,
  { x, rows, channels }: { readonly x: BufferRange; readonly rows: number; readonly channels: number },
): void {
  normaliseLayer(gpu, { ...norms, x, norms: count, yNorm: apart, rows, channels, xRow: channels, xOffset: 0 });
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
  next: NextNorms | undefined,
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
      overrides: { WORKGROUP: workgroup, BIAS: bias !== undefined, LAYER: next.kind === 'layer' },
      bindings: {
        ...{ x: parts, bias: bias ?? gpu.unusedInput, y },
        ...{ weight: next.weight, normBias: next.bias ?? gpu.unusedInput, normed: next.y },
      },
      uniforms: {
        ...{ rows, quads, parts: splits, eps: next.eps },
        ...{ norms: next.count, normedNorm: next.apart / 4, zero: 0 },
      },
      workgroups: gpu.grid(rows),
    });
  });
  return true;
}

/** There are few rows, so a workgroup has a lane for each vec4 of its row where the device allows as many. */
function workgroupOf(gpu: Gpu, quads: number): number {
  return gpu.workgroup(Math.max(32, 2 ** Math.ceil(Math.log2(quads))));
}
