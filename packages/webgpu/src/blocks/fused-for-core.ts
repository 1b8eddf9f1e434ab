/** Blocks of the fused model's kinds, for core: their state is new tensors in every call. */
import type { Tensor } from '@mamba/core';
import { type BlockConfig, type BlockState, blockDefinition, type FusionContext } from '@mamba/core/driver';
import type { BufferRange } from '../gpu/shader.ts';
import type { KernelContext } from '../operations/kernel-context.ts';
import { rangeOf, type Storage } from '../storage.ts';
import type { BoundBlock, CoreCall } from './bound-block.ts';
import { shareBuffers } from './buffers.ts';
import type { FusedBlock } from './fused-block.ts';
import { fusedKind } from './kinds.ts';
import { allocateSlots, carryOver, rangesOf, slotTensor } from './slots.ts';

export function bindFused(
  kernels: KernelContext,
  context: FusionContext<Storage>,
  { config, dModel }: { readonly config: BlockConfig; readonly dModel: number },
  fused: FusedBlock,
): BoundBlock {
  const { gpu } = kernels;
  const slots = blockDefinition('block.kind', config.kind).state(config, dModel);
  return {
    refusal: (batch, length) => fusedKind(config.kind)!.refusal(kernels, config, batch, length),
    run({ x, y, accumulate, ...call }: CoreCall): BlockState {
      const { batch, length } = call;
      const stepped = length === 1 && call.resets === undefined;
      const device = (tensor: Tensor): BufferRange => rangeOf(context.device(tensor));
      const resets = call.resets && device(call.resets);
      const before = Object.fromEntries(
        Object.entries(call.state ?? {}).map(([name, tensor]) => [name, device(tensor)]),
      );
      const state = gpu.allocating((allocator) => {
        const after = allocateSlots(allocator, slots, batch);
        for (const [name, target] of Object.entries(after))
          if (stepped || fused.slotsInPlace.includes(name)) carryOver(gpu, target, before[name]);
        const sizes = stepped ? fused.stepBuffers(batch) : fused.prefillBuffers(batch * length);
        const [buffers] = shareBuffers([sizes], ({ bytes, label }) => allocator.scratch(bytes, label));
        const run = { batch, length, resets, x, y, accumulate, before, state: rangesOf(after) };
        if (stepped) fused.step(run, buffers!);
        else fused.prefill(run, buffers!);
        return after;
      });
      return Object.fromEntries(
        slots.map((slot) => [slot.name, slotTensor(context, slot, state[slot.name]!, call.positions)]),
      );
    },
    repack: () => fused.repack(),
    dispose: () => fused.dispose(),
  };
}
