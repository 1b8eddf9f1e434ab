import type { DeviceTensor, MambaConfig, MambaWeights } from '@mamba/core/driver';
import { type Allocator, type Gpu, wholeRange } from '../../gpu/gpu.ts';
import type { BufferRange } from '../../gpu/shader.ts';
import { constantsSize } from '../../operations/selective-scan.ts';
import { rangeOf, type Storage } from '../../storage.ts';
import { copyVectors } from '../vectors.ts';

/** A block's weights as its kernels bind them. */
export interface BoundMamba {
  readonly inProj: Storage;
  readonly inProjBias: BufferRange | undefined;
  readonly conv: BufferRange;
  readonly convBias: BufferRange | undefined;
  readonly xProj: Storage;
  readonly dtProj: Storage;
  readonly outProj: Storage;
  readonly outProjBias: BufferRange | undefined;
  /** A, D, dt bias: see `constantsAt`. */
  readonly scan: BufferRange;
  /** Taps, convolution bias and in_proj bias, as decode-in-proj.wgsl binds them. */
  readonly decode: BufferRange;
  /** Weights of the norms of dt, B and C, in this order. */
  readonly norms: BufferRange | undefined;
  /** Packs the last three again. */
  repack(): void;
  /** Frees them. */
  dispose(): void;
}

/**
 * Binds the weights. A browser promises only eight storage buffers a shader, so small weights are copied into shared
 * buffers once.
 */
export function bindMamba(
  gpu: Gpu,
  allocator: Allocator,
  { dInner, dState, dConv, dtRank }: MambaConfig,
  weights: MambaWeights<DeviceTensor<Storage>>,
): BoundMamba {
  const range = (tensor: DeviceTensor<Storage> | undefined): BufferRange | undefined => tensor && rangeOf(tensor);
  const conv = rangeOf(weights.conv);
  const convBias = range(weights.convBias);
  const inProjBias = range(weights.inProjBias);
  const normWeights = [range(weights.dtNorm), range(weights.BNorm), range(weights.CNorm)];
  const scan = allocator.result(4 * constantsSize(dInner, dState, 0), 'scan constants');
  const decode = allocator.result(4 * dInner * (dConv + 3), 'decode constants');
  const norms = normWeights.every((each) => each !== undefined)
    ? allocator.result(4 * (dtRank + 2 * dState), 'weights of the norms of dt, B, C')
    : undefined;
  const repack = (): void => {
    copyVectors(gpu, scan, [
      [rangeOf(weights.A), dInner * dState],
      [rangeOf(weights.D), dInner],
      [rangeOf(weights.dtBias), dInner],
    ]);
    copyVectors(gpu, decode, [
      [conv, dInner * dConv],
      [convBias, dInner],
      [inProjBias, 2 * dInner],
    ]);
    if (norms !== undefined)
      copyVectors(gpu, norms, [
        [normWeights[0], dtRank],
        [normWeights[1], dState],
        [normWeights[2], dState],
      ]);
  };
  repack();
  return {
    inProj: weights.inProj.storage,
    inProjBias,
    conv,
    convBias,
    xProj: weights.xProj.storage,
    dtProj: weights.dtProj.storage,
    outProj: weights.outProj.storage,
    outProjBias: range(weights.outProjBias),
    scan: wholeRange(scan),
    decode: wholeRange(decode),
    norms: norms && wholeRange(norms),
    repack,
    dispose() {
      for (const buffer of [scan, decode, norms]) if (buffer !== undefined) gpu.pool.give(buffer);
    },
  };
}
