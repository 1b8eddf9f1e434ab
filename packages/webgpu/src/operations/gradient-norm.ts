import type { DeviceTensor, GradientNormCall } from '@mamba/core/driver';
import { gradientNormSmall, gradientNorm as shader } from '../generated/index.ts';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import { forEachSlot, SLOTS } from './slots.ts';

/** Elements of a part, whose squares one workgroup adds up. A tensor is small where it has no more. */
const SPAN = 16_384;

/**
 * The norm of all tensors: a dispatch for each large one, which leaves the sums of its parts, one for every seven small
 * ones, and one that adds up all sums.
 */
export function gradientNorm(gpu: Gpu, { gradients, sizes }: GradientNormCall<DeviceTensor<Storage>>): Storage {
  const tensors = gradients.map((gradient, index) => ({ x: rangeOf(gradient), size: sizes[index]! }));
  const large = tensors.filter(({ size }) => size > SPAN);
  const small = tensors.filter(({ size }) => size <= SPAN);
  const all = large.reduce((sum, { size }) => sum + Math.ceil(size / SPAN), small.length);
  return gpu.allocating((allocator) => {
    const norm = allocator.result(4, 'gradient-norm');
    const sums = wholeRange(allocator.scratch(4 * all, 'gradient-norm parts'));
    for (let first = 0; first < small.length; first += SLOTS.length)
      addSmall(gpu, small.slice(first, first + SLOTS.length), sums, first);
    let at = small.length;
    for (const { x, size } of large) {
      pass(gpu, false, x, sums, { size, span: SPAN, at });
      at += Math.ceil(size / SPAN);
    }
    pass(gpu, true, sums, wholeRange(norm), { size: all, span: all, at: 0 });
    return unsplitStorage(norm);
  });
}

interface Sized {
  readonly x: BufferRange;
  readonly size: number;
}

/** Writes the sum of the squares of each of these tensors, from `y[at]` on. */
function addSmall(gpu: Gpu, tensors: readonly Sized[], y: BufferRange, at: number): void {
  gpu.dispatch(gradientNormSmall, {
    bindings: { ...forEachSlot('x', (slot) => tensors[slot]?.x ?? gpu.unusedInput), y },
    uniforms: { at, ...forEachSlot('size', (slot) => tensors[slot]?.size ?? 0) },
    workgroups: [tensors.length],
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
