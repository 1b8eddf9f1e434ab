import type { DeviceTensor, LayerNormCall } from '@mamba/core/driver';
import { layerNorm as shader } from '../generated/index.ts';
import { type Gpu, rowWorkgroup, wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';

export function layerNorm(
  gpu: Gpu,
  { x, weight, bias, eps, rows, channels }: LayerNormCall<DeviceTensor<Storage>>,
): Storage {
  return gpu.allocating((allocator) => {
    const y = allocator.result(4 * rows * channels, 'layer-norm');
    normaliseLayer(gpu, {
      x: rangeOf(x),
      weight: weight && rangeOf(weight),
      bias: bias && rangeOf(bias),
      y: wholeRange(y),
      rows,
      channels,
      xRow: channels,
      xOffset: 0,
      eps,
    });
    return unsplitStorage(y);
  });
}

export interface LayerNormalisation {
  readonly x: BufferRange;
  /** `[norms, channels]`, of norms that take the same rows. */
  readonly weight: BufferRange | undefined;
  readonly bias: BufferRange | undefined;
  /** `[norms, rows, channels]` */
  readonly y: BufferRange;
  /** Default 1. */
  readonly norms?: number | undefined;
  /** Elements of y from one norm's rows to the next; without meaning where there is one norm. */
  readonly yNorm?: number | undefined;
  readonly rows: number;
  readonly channels: number;
  /** Elements from one row of x to the next; `xOffset` is the place of the first one. */
  readonly xRow: number;
  readonly xOffset: number;
  readonly eps: number;
}

export function normaliseLayer(gpu: Gpu, call: LayerNormalisation): void {
  const { x, weight, bias, y, norms = 1, yNorm = 0, rows, channels, xRow, xOffset, eps } = call;
  const quads = [channels, xRow, xOffset, yNorm].every((extent) => extent % 4 === 0);
  gpu.dispatch(shader, {
    link: quads ? 'quads' : 'singles',
    overrides: {
      WORKGROUP: rowWorkgroup(gpu, channels),
      WEIGHT: weight !== undefined,
      BIAS: bias !== undefined,
    },
    bindings: { x, weight: weight ?? gpu.unusedInput, bias: bias ?? gpu.unusedInput, y },
    uniforms: { rows, norms, channels, xRow, xOffset, yNorm, eps, zero: 0 },
    workgroups: gpu.grid(norms * rows),
  });
}
