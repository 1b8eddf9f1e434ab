import { type AttentionConfig, type AttentionWeights, type DeviceTensor, kvHeadsOf } from '@mamba/core/driver';
import type { PooledBuffer } from '../../gpu/buffer-pool.ts';
import { type Allocator, type Gpu, wholeRange } from '../../gpu/gpu.ts';
import type { BufferRange } from '../../gpu/shader.ts';
import { joinedStorage } from '../../joined.ts';
import { rangeOf, type Storage } from '../../storage.ts';
import { copyVectors } from '../vectors.ts';

/** A matrix whose outputs are the columns from `first` on of those of q, k and v. */
export interface InputProduct {
  readonly weight: Storage;
  readonly first: number;
  readonly outputs: number;
}

/** A block's weights as its kernels bind them. */
export interface BoundAttention {
  /** One product where the matrices of q, k and v lie in one, and otherwise three. */
  readonly inputs: readonly InputProduct[];
  /** The biases of q, k and v in one; undefined where there are none. */
  readonly bias: BufferRange | undefined;
  /** The weights of the norms of q and k in one; undefined where there are none. */
  readonly norms: BufferRange | undefined;
  readonly outProj: Storage;
  readonly outProjBias: BufferRange | undefined;
  /** Copies the biases and norms again. */
  repack(): void;
  /** Frees them. */
  dispose(): void;
}

export function bindAttention(
  gpu: Gpu,
  allocator: Allocator,
  config: AttentionConfig,
  weights: AttentionWeights<DeviceTensor<Storage>>,
): BoundAttention {
  const { heads, headDim } = config;
  const inner = heads * headDim;
  const kvInner = kvHeadsOf(config) * headDim;
  const range = (tensor: DeviceTensor<Storage> | undefined): BufferRange | undefined => tensor && rangeOf(tensor);
  const biases = [
    [range(weights.qProjBias), inner],
    [range(weights.kProjBias), kvInner],
    [range(weights.vProjBias), kvInner],
  ] as const;
  const norms = [
    [range(weights.qNorm), headDim],
    [range(weights.kNorm), headDim],
  ] as const;
  const memory = (parts: typeof biases | typeof norms, label: string): PooledBuffer | undefined => {
    if (parts.every(([source]) => source === undefined)) return undefined;
    const buffer = allocator.result(4 * parts.reduce((sum, [, count]) => sum + count, 0), label);
    // A bias that is absent is 0.
    if (parts.some(([source]) => source === undefined)) gpu.recorder.clear(buffer.buffer, 0, buffer.size);
    return buffer;
  };
  const bias = memory(biases, 'biases of q, k and v');
  const normed = memory(norms, 'norms of q and k');
  const repack = (): void => {
    if (bias !== undefined) copyVectors(gpu, bias, biases);
    if (normed !== undefined) copyVectors(gpu, normed, norms);
  };
  repack();
  return {
    inputs: inputProducts([weights.qProj, weights.kProj, weights.vProj]),
    bias: bias && wholeRange(bias),
    norms: normed && wholeRange(normed),
    outProj: weights.outProj.storage,
    outProjBias: range(weights.outProjBias),
    repack,
    dispose() {
      for (const buffer of [bias, normed]) if (buffer !== undefined) gpu.pool.give(buffer);
    },
  };
}

function inputProducts(matrices: readonly DeviceTensor<Storage>[]): readonly InputProduct[] {
  const outputsOf = ({ shape }: DeviceTensor<Storage>): number => shape[0]!;
  const whole = joinedStorage(matrices.map(({ storage }) => storage));
  if (whole !== undefined)
    return [{ weight: whole, first: 0, outputs: matrices.reduce((sum, matrix) => sum + outputsOf(matrix), 0) }];
  let first = 0;
  return matrices.map((matrix) => {
    const product = { weight: matrix.storage, first, outputs: outputsOf(matrix) };
    first += product.outputs;
    return product;
  });
}
