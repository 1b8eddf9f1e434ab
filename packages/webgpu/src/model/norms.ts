/** Norms of a model's layers and of its end, as its kernels bind them. */
import type { Tensor } from '@mamba/core';
import type { FusionContext } from '@mamba/core/driver';
import { copyVectors } from '../blocks/vectors.ts';
import type { Allocator, Gpu } from '../gpu/gpu.ts';
import { ALIGNMENT, type BufferRange } from '../gpu/shader.ts';
import type { Norms } from '../operations/linear-normed.ts';
import { rangeOf, type Storage } from '../storage.ts';

export function rmsNorm(weight: BufferRange, eps: number): Norms {
  return { kind: 'rms', count: 1, weight, bias: undefined, eps };
}

/** LayerNorms of the same rows, whose weights lie one behind another. */
export interface JoinedNorms extends Norms {
  /** Copies the weights again. */
  repack(): void;
  /** Frees them. */
  dispose(): void;
}

export interface LayerNormWeights {
  readonly norm: Tensor;
  /** There is one, since these are LayerNorms of a model. */
  readonly normBias?: Tensor | undefined;
}

export function joinLayerNorms(
  gpu: Gpu,
  allocator: Allocator,
  context: FusionContext<Storage>,
  parts: readonly LayerNormWeights[],
  { dModel, normEps: eps }: { readonly dModel: number; readonly normEps: number },
): JoinedNorms {
  const size = 4 * parts.length * dModel;
  const offset = Math.ceil(size / ALIGNMENT) * ALIGNMENT;
  const pooled = allocator.result(offset + size, 'LayerNorms');
  const vector = (tensor: Tensor) => [rangeOf(context.device(tensor)), dModel] as const;
  const vectors = [
    ...parts.map(({ norm }) => vector(norm)),
    [undefined, (offset - size) / 4] as const,
    ...parts.map(({ normBias }) => vector(normBias!)),
  ];
  const repack = (): void => copyVectors(gpu, pooled, vectors);
  repack();
  const { buffer } = pooled;
  return {
    kind: 'layer',
    count: parts.length,
    weight: { buffer, offset: 0, size },
    bias: { buffer, offset, size },
    eps,
    repack,
    dispose: () => gpu.pool.give(pooled),
  };
}
