/** Memory of what a block remembers, by the slots that its kind declares. No extent of them grows. */
import { type StateSlot, sizeOf } from '@mamba/core/driver';
import type { PooledBuffer } from '../gpu/buffer-pool.ts';
import { type Allocator, type Gpu, whole } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import type { SlotRanges } from './fused-block.ts';

/** A buffer a slot, `[batch, …]`. */
export type SlotBuffers = Readonly<Record<string, PooledBuffer>>;

export function slotBytes({ shape }: StateSlot, batch: number): number {
  return 4 * batch * sizeOf(shape as readonly number[]);
}

/** New memory for each slot; `kept` may give some of it, by the slot's name. */
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

/** Makes new memory the state before a call: a copy of it, or zeros. */
export function carryOver(gpu: Gpu, { buffer, size }: PooledBuffer, before: BufferRange | undefined): void {
  if (before === undefined) gpu.recorder.clear(buffer, 0, size);
  else gpu.recorder.copy(before.buffer, before.offset, buffer, 0, size);
}

export function rangesOf(slots: SlotBuffers | undefined): SlotRanges {
  return Object.fromEntries(Object.entries(slots ?? {}).map(([name, buffer]) => [name, whole(buffer)]));
}
