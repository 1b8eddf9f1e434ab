import {
  invalid,
  type KernelState,
  type KernelStateRow,
  type LayerSnapshot,
  type StateSlot,
  sizeOf,
} from '@mamba/core/driver';
import type { SlotRanges } from '../blocks/fused-block.ts';
import type { PooledBuffer } from '../gpu/buffer-pool.ts';
import { type Allocator, type Gpu, whole } from '../gpu/gpu.ts';

/** What each layer remembers; no extent of a slot grows. */
export type Slots = readonly (readonly StateSlot[])[];

/** A layer's state: a buffer a slot, `[batch, …]`. */
export type LayerState = Readonly<Record<string, PooledBuffer>>;

/** A model's state: a buffer a slot and layer, which never leave the device unless exported. */
export class FusedState implements KernelState {
  readonly batch: number;
  readonly bytes: number;
  readonly layers: readonly LayerState[];
  readonly #gpu: Gpu;

  constructor(gpu: Gpu, layers: readonly LayerState[], batch: number) {
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
export function sameMemory(a: readonly LayerState[], b: readonly LayerState[]): boolean {
  return a.every((layer, index) =>
    Object.entries(layer).every(([name, { buffer }]) => buffer === b[index]![name]!.buffer),
  );
}

export function rangesOf(state: LayerState | undefined): SlotRanges {
  return Object.fromEntries(Object.entries(state ?? {}).map(([name, buffer]) => [name, whole(buffer)]));
}

export function allocateState(allocator: Allocator, slots: Slots, batch: number): readonly LayerState[] {
  return slots.map((layer) =>
    Object.fromEntries(layer.map((slot) => [slot.name, allocateSlot(allocator, slot, batch)])),
  );
}

/** A call's state before it, and what becomes of that. */
export interface Succession {
  readonly previous: FusedState | undefined;
  /** The call may write to the memory of `previous`. */
  readonly donated: boolean;
  readonly batch: number;
  /** Slots that the call reads where it writes them; it writes the others anew. */
  readonly inPlace: (layer: number, slot: string) => boolean;
}

/** Memory for the state after a call. Slots in place hold the state before: in the same memory if it was donated, else a copy, or zeros. */
export function nextState(
  gpu: Gpu,
  allocator: Allocator,
  slots: Slots,
  { previous, donated, batch, inPlace }: Succession,
): readonly LayerState[] {
  const kept = donated ? previous : undefined;
  const layers = slots.map((layer, index) =>
    Object.fromEntries(
      layer.map((slot) => {
        const old = inPlace(index, slot.name) ? kept?.layers[index]?.[slot.name] : undefined;
        return [slot.name, old ?? allocateSlot(allocator, slot, batch)];
      }),
    ),
  );
  if (kept !== undefined) return layers;
  for (const [index, layer] of layers.entries()) {
    for (const [name, { buffer, size }] of Object.entries(layer)) {
      if (!inPlace(index, name)) continue;
      const source = previous?.layers[index]?.[name];
      if (source === undefined) gpu.recorder.clear(buffer, 0, size);
      else gpu.recorder.copy(source.buffer, 0, buffer, 0, size);
    }
  }
  return layers;
}

/** Gives back memory of a donated state that did not go into the next one. */
export function releaseUnused(gpu: Gpu, previous: FusedState | undefined, next: readonly LayerState[]): void {
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

function buffersOf(layers: readonly LayerState[]): readonly PooledBuffer[] {
  return layers.flatMap((layer) => Object.values(layer));
}

function allocateSlot(allocator: Allocator, slot: StateSlot, batch: number): PooledBuffer {
  return allocator.result(slotBytes(slot, batch), `${slot.name} state`);
}

function slotBytes({ shape }: StateSlot, batch: number): number {
  return 4 * batch * sizeOf(shape as readonly number[]);
}

function floatBytes(values: Float32Array | Float64Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Float32Array.from(values).buffer);
}
