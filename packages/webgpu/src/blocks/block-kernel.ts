/**
 * The kernels that core calls: of a block by itself, and of a layer of a model that the fused model does not take.
 */
import { MambaError, type Tensor } from '@mamba/core';
import {
  type BlockCall,
  type BlockKernel,
  type BlockResult,
  type FuseBlock,
  type FusedBlocks,
  type FusionContext,
  type LayerCall,
  type LayerKernel,
  type LayerResult,
  type LayerSource,
  scoped,
} from '@mamba/core/driver';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { sum } from '../operations/add.ts';
import type { KernelContext } from '../operations/kernel-context.ts';
import { normaliseLayer } from '../operations/layer-norm.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import type { BoundBlock, CoreCall } from './bound-block.ts';
import { bindForCore, CORE_KINDS, type CoreSource } from './core-kinds.ts';

/** Functions that make the kernel of one block, for each kind that has a fused form. */
export function fusedBlocks(kernels: KernelContext): FusedBlocks<Storage> {
  const fuse: FuseBlock<Storage> = (context, config, weights, dModel) =>
    blockKernel(kernels, context, { config, weights, dModel, norm: undefined });
  return Object.fromEntries(CORE_KINDS.map((kind) => [kind, fuse]));
}

/** Undefined where this device cannot run the block, so that the composed operations say what is refused. */
function blockKernel(
  kernels: KernelContext,
  context: FusionContext<Storage>,
  source: CoreSource,
): BlockKernel | undefined {
  const block = bindForCore(kernels, context, source);
  return (
    block && {
      forward: (call) => forwardBlock(kernels.gpu, context, block, call),
      weightsChanged: () => block.repack(),
      dispose: () => block.dispose(),
    }
  );
}

/** Makes a layer: an RMS norm goes into the block's first products, and a LayerNorm is a dispatch before them. */
export function layerKernel(
  kernels: KernelContext,
  context: FusionContext<Storage>,
  { norm, ...source }: LayerSource,
): LayerKernel | undefined {
  const range = (tensor: Tensor | undefined): BufferRange | undefined => tensor && rangeOf(context.device(tensor));
  const { kind, eps } = norm;
  const weight = range(norm.weight)!;
  const block = bindForCore(kernels, context, { ...source, norm: kind === 'rms' ? { weight, eps } : undefined });
  if (block === undefined) return undefined;
  const before = kind === 'rms' ? undefined : { weight, bias: range(norm.bias), eps };
  return {
    forward: (call) => forwardLayer(kernels.gpu, context, block, before, call),
    weightsChanged: () => block.repack(),
    dispose: () => block.dispose(),
  };
}

/** All results are new: neither x nor the state before is written to. */
function forwardBlock(
  gpu: Gpu,
  context: FusionContext<Storage>,
  block: BoundBlock,
  { x: given, ...call }: BlockCall,
): BlockResult {
  check('block.forward', block, call);
  const x = rangeOf(context.device(given));
  const { y, state } = gpu.allocating((allocator) => {
    const y = allocator.result(x.size, 'block y');
    return { y, state: block.run({ ...call, x, y: wholeRange(y), accumulate: false }) };
  });
  return { y: context.tensor(unsplitStorage(y), { shape: given.shape, dtype: 'float32' }), state };
}

/** A LayerNorm, with its weights. */
interface LayerNorm {
  readonly weight: BufferRange;
  readonly bias: BufferRange | undefined;
  readonly eps: number;
}

/** A residual that is donated takes the block's output. Otherwise the sum is new. */
function forwardLayer(
  gpu: Gpu,
  context: FusionContext<Storage>,
  block: BoundBlock,
  norm: LayerNorm | undefined,
  { residual, read, donated, ...call }: LayerCall,
): LayerResult {
  check('model.forward', block, call);
  const [given, input] = [residual, read].map((tensor) => rangeOf(context.device(tensor))) as [
    BufferRange,
    BufferRange,
  ];
  return scoped((scope) =>
    gpu.allocating((allocator) => {
      const result = donated ? undefined : allocator.result(given.size, 'residual');
      const y = result === undefined ? given : wholeRange(allocator.scratch(given.size, 'block y'));
      let x = input;
      if (norm !== undefined) {
        x = wholeRange(allocator.scratch(input.size, 'normed'));
        const channels = residual.shape.at(-1)!;
        const rows = call.batch * call.length;
        normaliseLayer(gpu, { ...norm, x: input, y: x, rows, channels, xRow: channels, xOffset: 0 });
      }
      const state = block.run({ ...call, x, y, accumulate: donated });
      for (const tensor of Object.values(state)) scope.own(tensor);
      if (result !== undefined) sum(gpu, { a: given, b: y, y: wholeRange(result), size: given.size / 4 });
      for (const tensor of Object.values(state)) scope.release(tensor);
      const next = result && context.tensor(unsplitStorage(result), { shape: residual.shape, dtype: 'float32' });
      return { residual: next ?? residual, state };
    }),
  );
}

/** @throws MambaError `unsupported` */
function check(origin: string, block: BoundBlock, { batch, length }: Pick<CoreCall, 'batch' | 'length'>): void {
  const reason = block.refusal(batch, length);
  if (reason !== undefined)
    throw new MambaError('unsupported', `webgpu cannot run this call: ${reason}`, {
      origin,
      given: `batch ${batch}, length ${length}`,
      remedy: 'Take a smaller chunk or batch.',
    });
}
