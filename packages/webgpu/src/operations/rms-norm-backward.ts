import type { RmsNormGradients } from '@mamba/core';
import type { DeviceTensor, RmsNormBackwardCall } from '@mamba/core/driver';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import { sumColumns } from './column-sum.ts';
import { differentiateNorm } from './norm-backward.ts';

export function rmsNormBackward(
  gpu: Gpu,
  { x, weight, dy, eps, rows, channels }: RmsNormBackwardCall<DeviceTensor<Storage>>,
): RmsNormGradients<Storage> {
  return gpu.allocating((allocator) => {
    const dx = allocator.result(4 * rows * channels, 'rms-norm-backward x');
    const dweight = weight && allocator.result(4 * channels, 'rms-norm-backward weight');
    const moments = differentiateNorm(gpu, allocator, {
      x: rangeOf(x),
      weight: weight && rangeOf(weight),
      dy: rangeOf(dy),
      dx: wholeRange(dx),
      rows,
      channels,
      eps,
      centered: false,
    });
    if (dweight)
      sumColumns(
        gpu,
        { x: rangeOf(dy), rows, columns: channels, normed: { x: rangeOf(x), moments } },
        wholeRange(dweight),
      );
    return { x: unsplitStorage(dx), ...(dweight && { weight: unsplitStorage(dweight) }) };
  });
}
