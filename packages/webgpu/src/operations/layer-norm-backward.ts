import type { LayerNormGradients } from '@mamba/core';
import type { DeviceTensor, LayerNormBackwardCall } from '@mamba/core/driver';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import { sumColumns } from './column-sum.ts';
import { differentiateNorm } from './norm-backward.ts';

export function layerNormBackward(
  gpu: Gpu,
  { x, weight, bias, dy, eps, rows, channels }: LayerNormBackwardCall<DeviceTensor<Storage>>,
): LayerNormGradients<Storage> {
  return gpu.allocating((allocator) => {
    const dx = allocator.result(4 * rows * channels, 'layer-norm-backward x');
    const dweight = weight && allocator.result(4 * channels, 'layer-norm-backward weight');
    const dbias = bias && allocator.result(4 * channels, 'layer-norm-backward bias');
    const moments = differentiateNorm(gpu, allocator, {
      x: rangeOf(x),
      weight: weight && rangeOf(weight),
      dy: rangeOf(dy),
      dx: wholeRange(dx),
      rows,
      channels,
      eps,
      centered: true,
    });
    const cotangents = { x: rangeOf(dy), rows, columns: channels };
    if (dweight) sumColumns(gpu, { ...cotangents, normed: { x: rangeOf(x), moments } }, wholeRange(dweight));
    if (dbias) sumColumns(gpu, cotangents, wholeRange(dbias));
    return {
      x: unsplitStorage(dx),
      ...(dweight && { weight: unsplitStorage(dweight) }),
      ...(dbias && { bias: unsplitStorage(dbias) }),
    };
  });
}
