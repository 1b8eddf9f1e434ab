import type { Tensor } from '@mamba/core';
import type { DeviceTensor, LayerWeights, ModelConfig, ModelWeights } from '@mamba/core/driver';
import type { PooledBuffer } from '../gpu/buffer-pool.ts';
import type { Allocator, Gpu } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { constantsSize, packConstants } from '../operations/selective-scan.ts';
import { rangeOf, type Storage } from '../storage.ts';

/** A layer's weights as the fused kernels bind them. */
export interface Layer {
  readonly norm: BufferRange;
  readonly inProj: Storage;
  readonly inProjBias: BufferRange | undefined;
  readonly conv: BufferRange;
  readonly convBias: BufferRange | undefined;
  readonly xProj: Storage;
  readonly dtProj: Storage;
  readonly outProj: Storage;
  readonly outProjBias: BufferRange | undefined;
  /** A, D, dt bias: see `packConstants`. */
  readonly scan: PooledBuffer;
  /** Taps, conv bias, in_proj bias: what decode-in-proj.wgsl binds. */
  readonly decode: PooledBuffer;
}

export interface Layers {
  readonly embedding: Storage;
  readonly layers: readonly Layer[];
  readonly finalNorm: BufferRange;
  readonly head: Storage;
}

/** Binds the weights, and packs the small ones of each layer together, once. */
export function bindLayers(
  gpu: Gpu,
  allocator: Allocator,
  config: ModelConfig,
  weights: ModelWeights<Tensor>,
  device: (tensor: Tensor) => DeviceTensor<Storage>,
): Layers {
  const storage = (tensor: Tensor): Storage => device(tensor).storage;
  const range = (tensor: Tensor): BufferRange => rangeOf(device(tensor));
  return {
    embedding: storage(weights.embedding),
    layers: weights.layers.map((layer) => bindLayer(gpu, allocator, config, layer, storage, range)),
    finalNorm: range(weights.finalNorm),
    head: storage(weights.head),
  };
}

function bindLayer(
  gpu: Gpu,
  allocator: Allocator,
  { dInner, dState, dConv }: ModelConfig,
  { norm, block }: LayerWeights<Tensor>,
  storage: (tensor: Tensor) => Storage,
  range: (tensor: Tensor) => BufferRange,
): Layer {
  const scan = allocator.result(4 * constantsSize(dInner, dState, 0), 'scan constants');
  packConstants(gpu, scan, dInner, dState, {
    A: range(block.A),
    D: range(block.D),
    deltaBias: range(block.dtBias),
    resets: undefined,
  });
  const decode = allocator.result(4 * dInner * (dConv + 3), 'decode constants');
  const conv = range(block.conv);
  const convBias = block.convBias && range(block.convBias);
  const inProjBias = block.inProjBias && range(block.inProjBias);
  gpu.recorder.copy(conv.buffer, 0, decode.buffer, 0, 4 * dInner * dConv);
  if (convBias) gpu.recorder.copy(convBias.buffer, 0, decode.buffer, 4 * dInner * dConv, 4 * dInner);
  if (inProjBias) gpu.recorder.copy(inProjBias.buffer, 0, decode.buffer, 4 * dInner * (dConv + 1), 8 * dInner);
  return {
    norm: range(norm),
    inProj: storage(block.inProj),
    inProjBias,
    conv,
    convBias,
    xProj: storage(block.xProj),
    dtProj: storage(block.dtProj),
    outProj: storage(block.outProj),
    outProjBias: block.outProjBias && range(block.outProjBias),
    scan,
    decode,
  };
}

export function freeLayers(gpu: Gpu, { layers }: Layers): void {
  for (const { scan, decode } of layers) {
    gpu.pool.give(scan);
    gpu.pool.give(decode);
  }
}
