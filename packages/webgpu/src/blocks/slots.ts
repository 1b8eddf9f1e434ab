/**
 * Memory of a block's state, by the slots that its kind declares. Slots that grow with length have no fused form here.
 */
import type { Tensor } from '@mamba/core';
import { type FusionContext, type StateSlot, sizeOf, slotShape } from '@mamba/core/driver';
import type { PooledBuffer } from '../gpu/buffer-pool.ts';
import { type Allocator, type Gpu, wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { type Storage, unsplitStorage } from '../storage.ts';
import type { SlotRanges } from './fused-block.ts';

/** One buffer for each slot, `[batch, …]`. */
export type SlotBuffers = Readonly<Record<string, PooledBuffer>>;

export function slotBytes({ shape }: StateSlot, batch: number): number {
  return 4 * batch * sizeOf(shape as readonly number[]);
}

/** Allocates memory for each slot, except where `kept` gives it. */
export function allocateSlots(
  allocator: Allocator,
  slots: readonly StateSlot[],
  batch: number,
  kept: (name: string) => PooledBuffer | undefined = () => undefined,
): SlotBuffers {
  const buffer = (slot: StateSlot): PooledBuffer =>
    kept(slot.name) ?? allocator.result(slotBytes(slot, batch), `${slot.name} state`);
  return Object.fromEntries(slots.map((slot) => [slot.name, buffer(slot)]));
}

/** Fills new memory with the state before a call, or with zeros where there is none. */
export function carryOver(gpu: Gpu, { buffer, size }: PooledBuffer, before: BufferRange | undefined): void {
  if (before === undefined) gpu.recorder.clear(buffer, 0, size);
  else gpu.recorder.copy(before.buffer, before.offset, buffer, 0, size);
}

/** The tensor of a slot whose rows have been fed `positions` tokens. The memory is the tensor's. */
export function slotTensor(
  context: FusionContext<Storage>,
  slot: StateSlot,
  buffer: PooledBuffer,
  positions: readonly number[],
): Tensor {
  return context.tensor(unsplitStorage(buffer), { shape: slotShape(slot, positions)!, dtype: 'float32' });
}

export function rangesOf(slots: SlotBuffers | undefined): SlotRanges {
  return Object.fromEntries(Object.entries(slots ?? {}).map(([name, buffer]) => [name, wholeRange(buffer)]));
}
