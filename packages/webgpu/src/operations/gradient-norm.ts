import type { DeviceTensor, GradientNormCall } from '@mamba/core/driver';
import { gradientNorm as shader } from '../generated/index.ts';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';

/** Elements of a part, whose squares one workgroup adds up. */
const SPAN = 16_384;

/** The norm of all tensors: a dispatch for each, which leaves the sums of its parts, and one that adds up all parts. */
export function gradientNorm(gpu: Gpu, { gradients, sizes }: GradientNormCall<DeviceTensor<Storage>>): Storage {
  const parts = sizes.map((size) => Math.ceil(size / SPAN));
  const all = parts.reduce((sum, count) => sum + count, 0);
  return gpu.allocating((allocator) => {
    const norm = allocator.result(4, 'gradient-norm');
    const sums = wholeRange(allocator.scratch(4 * all, 'gradient-norm parts'));
    let at = 0;
    for (const [index, gradient] of gradients.entries()) {
      pass(gpu, false, rangeOf(gradient), sums, { size: sizes[index]!, span: SPAN, at });
      at += parts[index]!;
    }
    pass(gpu, true, sums, wholeRange(norm), { size: all, span: all, at: 0 });
    return unsplitStorage(norm);
  });
}

interface Spans {
  readonly size: number;
  readonly span: number;
  readonly at: number;
}

/** Adds up the squares of each span, or with `root` the elements of the only one, whose root it takes. */
function pass(gpu: Gpu, root: boolean, x: BufferRange, y: BufferRange, spans: Spans): void {
  gpu.dispatch(shader, {
    overrides: { ROOT: root },
    bindings: { x, y },
    uniforms: { ...spans },
    workgroups: gpu.grid(Math.ceil(spans.size / spans.span)),
  });
}
