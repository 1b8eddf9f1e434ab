import { MambaError, type Tensor } from '@mamba/core';
import {
  type BlockCall,
  type BlockConfig,
  type BlockKernel,
  type BlockResult,
  type BlockWeights,
  blockDefinition,
  type FuseBlock,
  type FusedBlocks,
  type FusionContext,
  type StateSlot,
  slotShape,
} from '@mamba/core/driver';
import { wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import type { KernelContext } from '../operations/kernel-context.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import { shareBuffers } from './buffers.ts';
import type { FusedBlock } from './fused-block.ts';
import { bindBlock, FUSED_KINDS, fusedKind } from './kinds.ts';
import { allocateSlots, carryOver, rangesOf } from './slots.ts';

/** Functions that make the kernel of one block, for each kind that has a fused form. */
export function fusedBlocks(kernels: KernelContext): FusedBlocks<Storage> {
  const fuse: FuseBlock<Storage> = (...args) => blockKernel(kernels, ...args);
  return Object.fromEntries(FUSED_KINDS.map((kind) => [kind, fuse]));
}

/**
 * Makes one block for core: a block by itself, or one of a model that the fused model does not take. Returns undefined
 * where this device cannot run it, so that the composed operations say what is refused.
 */
function blockKernel(
  kernels: KernelContext,
  context: FusionContext<Storage>,
  config: BlockConfig,
  weights: BlockWeights<Tensor>,
  dModel: number,
): BlockKernel | undefined {
  if (fusedKind(config.kind)?.refusal(kernels, config, 1, 1) !== undefined) return undefined;
  const source = { config, weights, dModel, norm: undefined };
  const fused = kernels.gpu.allocating((allocator) => bindBlock(kernels, allocator, context, source));
  const slots = blockDefinition('block.kind', config.kind).state(config, dModel);
  const block: Block = { kernels, context, config, fused, slots };
  return {
    forward: (call) => forward(block, call),
    weightsChanged: () => fused.repack(),
    dispose: () => fused.dispose(),
  };
}

interface Block {
  readonly kernels: KernelContext;
  readonly context: FusionContext<Storage>;
  readonly config: BlockConfig;
  readonly fused: FusedBlock;
  readonly slots: readonly StateSlot[];
}

/** All results are new: neither x nor the state before is written to. */
function forward({ kernels, context, config, fused, slots }: Block, call: BlockCall): BlockResult {
  const { gpu } = kernels;
  const { batch, length } = call;
  check(kernels, config, batch, length);
  const stepped = length === 1 && call.resets === undefined;
  const device = (tensor: Tensor): BufferRange => rangeOf(context.device(tensor));
  const x = device(call.x);
  const resets = call.resets && device(call.resets);
  const before = Object.fromEntries(Object.entries(call.state ?? {}).map(([name, tensor]) => [name, device(tensor)]));
  const outcome = gpu.allocating((allocator) => {
    const y = allocator.result(x.size, `${config.kind} y`);
    const state = allocateSlots(allocator, slots, batch);
    for (const [name, target] of Object.entries(state))
      if (stepped || fused.slotsInPlace.includes(name)) carryOver(gpu, target, before[name]);
    const sizes = stepped ? fused.stepBuffers(batch) : fused.prefillBuffers(batch * length);
    const [buffers] = shareBuffers([sizes], ({ bytes, label }) => allocator.scratch(bytes, label));
    const run = { batch, length, resets, x, y: wholeRange(y), accumulate: false, before, state: rangesOf(state) };
    if (stepped) fused.step(run, buffers!);
    else fused.prefill(run, buffers!);
    return { y, state };
  });
  const { y, state } = outcome;
  return {
    y: context.tensor(unsplitStorage(y), { shape: call.x.shape, dtype: 'float32' }),
    state: Object.fromEntries(
      slots.map((slot) => [
        slot.name,
        context.tensor(unsplitStorage(state[slot.name]!), {
          shape: slotShape(slot, call.positions)!,
          dtype: 'float32',
        }),
      ]),
    ),
  };
}

function check(kernels: KernelContext, config: BlockConfig, batch: number, length: number): void {
  const reason = fusedKind(config.kind)!.refusal(kernels, config, batch, length);
  if (reason !== undefined)
    throw new MambaError('unsupported', `webgpu cannot run this call: ${reason}`, {
      origin: 'block.forward',
      given: `batch ${batch}, length ${length}`,
      remedy: 'Take a smaller chunk or batch.',
    });
}
