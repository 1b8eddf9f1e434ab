import { invalid, type KernelState, type KernelStateRow, type LayerSnapshot, type StateSlot } from '@mamba/core/driver';
import { allocateSlots, carryOver, rangesOf, type SlotBuffers, slotBytes } from '../blocks/slots.ts';
import type { PooledBuffer } from '../gpu/buffer-pool.ts';
import type { Allocator, Gpu } from '../gpu/gpu.ts';

/** The slots of each layer. None of them grows with length. */
export type Slots = readonly (readonly StateSlot[])[];

/** A model's state: one buffer for each slot of each layer. They leave the device only when exported. */
export class FusedState implements KernelState {
  readonly batch: number;
  readonly bytes: number;
  readonly layers: readonly SlotBuffers[];
  readonly #gpu: Gpu;

  constructor(gpu: Gpu, layers: readonly SlotBuffers[], batch: number) {
    this.#gpu = gpu;
    this.layers = layers;
    this.batch = batch;
    this.bytes = buffersOf(layers).reduce((sum, { size }) => sum + size, 0);
  }

  dispose(): void {
    for (const buffer of buffersOf(this.layers)) this.#gpu.pool.give(buffer);
  }
}

export function stateOf(state: KernelState | undefined): FusedState | undefined {
  if (state === undefined || state instanceof FusedState) return state;
  throw invalid('model.state', 'a state of another kernel', 'a state that this model made');
}

/** Whether two states of one model lie in the same memory. */
export function sameMemory(a: readonly SlotBuffers[], b: readonly SlotBuffers[]): boolean {
  return a.every((layer, index) =>
    Object.entries(layer).every(([name, { buffer }]) => buffer === b[index]![name]!.buffer),
  );
}

export function allocateState(allocator: Allocator, slots: Slots, batch: number): readonly SlotBuffers[] {
  return slots.map((layer) => allocateSlots(allocator, layer, batch));
}

/** The state before a call, and the way in which the next state replaces it. */
export interface Succession {
  readonly previous: FusedState | undefined;
  /** Whether the call may write to the memory of `previous`. */
  readonly donated: boolean;
  readonly batch: number;
  /** Whether the call reads a slot where it writes it. It writes the others to new memory. */
  readonly inPlace: (layer: number, slot: string) => boolean;
}

/**
 * Allocates the state after a call. Slots in place hold the state before the call: in the same memory if it was
 * donated, else as a copy, or zeros.
 */
export function nextState(
  gpu: Gpu,
  allocator: Allocator,
  slots: Slots,
  { previous, donated, batch, inPlace }: Succession,
): readonly SlotBuffers[] {
  const kept = donated ? previous : undefined;
  const layers = slots.map((layer, index) =>
    allocateSlots(allocator, layer, batch, (name) => (inPlace(index, name) ? kept?.layers[index]?.[name] : undefined)),
  );
  if (kept !== undefined) return layers;
  for (const [index, layer] of layers.entries()) {
    const before = rangesOf(previous?.layers[index]);
    for (const [name, target] of Object.entries(layer)) if (inPlace(index, name)) carryOver(gpu, target, before[name]);
  }
  return layers;
}

/** Gives back the memory of a donated state that the next one does not use. */
export function releaseUnused(gpu: Gpu, previous: FusedState | undefined, next: readonly SlotBuffers[]): void {
  const kept = new Set(buffersOf(next).map(({ buffer }) => buffer));
  for (const buffer of buffersOf(previous?.layers ?? [])) if (!kept.has(buffer.buffer)) gpu.pool.give(buffer);
}

export function gatherState(gpu: Gpu, slots: Slots, rows: readonly KernelStateRow[]): FusedState {
  return gpu.allocating((allocator) => {
    const layers = allocateState(allocator, slots, rows.length);
    for (const [index, layer] of slots.entries()) {
      for (const [to, { state, row }] of rows.entries()) {
        const source = stateOf(state)!.layers[index]!;
        for (const slot of layer) {
          const bytes = slotBytes(slot, 1);
          const target = layers[index]![slot.name]!.buffer;
          gpu.recorder.copy(source[slot.name]!.buffer, row * bytes, target, to * bytes, bytes);
        }
      }
    }
    return new FusedState(gpu, layers, rows.length);
  });
}

export async function exportState(gpu: Gpu, slots: Slots, state: FusedState): Promise<readonly LayerSnapshot[]> {
  const read = async (layer: number, slot: StateSlot): Promise<[string, Float32Array]> => {
    const bytes = await gpu.readback.read(state.layers[layer]![slot.name]!.buffer, 0, slotBytes(slot, state.batch));
    return [slot.name, new Float32Array(bytes)];
  };
  return Promise.all(
    slots.map(async (layer, index) => Object.fromEntries(await Promise.all(layer.map((slot) => read(index, slot))))),
  );
}

export function importState(gpu: Gpu, slots: Slots, snapshots: readonly LayerSnapshot[], batch: number): FusedState {
  return gpu.allocating((allocator) => {
    const layers = allocateState(allocator, slots, batch);
    for (const [index, layer] of layers.entries())
      for (const [name, { buffer }] of Object.entries(layer))
        gpu.recorder.write(buffer, 0, floatBytes(snapshots[index]![name]!));
    return new FusedState(gpu, layers, batch);
  });
}

function buffersOf(layers: readonly SlotBuffers[]): readonly PooledBuffer[] {
  return layers.flatMap((layer) => Object.values(layer));
}

function floatBytes(values: Float32Array | Float64Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Float32Array.from(values).buffer);
}
