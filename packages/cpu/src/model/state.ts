import { sizeOf } from '@mamba/core';
import { invalid, type KernelState, type KernelStateRow, type LayerSnapshot, type StateSlot } from '@mamba/core/driver';
import type { Allocation } from '../memory/allocator.ts';
import type { Heap } from '../memory/heap.ts';
import { ELEMENT } from '../operations/context.ts';

/** A model's state in one piece of memory: for each layer its slots, each `[batch, …]`. */
export class FusedState implements KernelState {
  readonly batch: number;
  readonly memory: Allocation;

  constructor(memory: Allocation, batch: number) {
    this.memory = memory;
    this.batch = batch;
  }

  get bytes(): number {
    return this.memory.bytes;
  }

  dispose(): void {
    this.memory.free();
  }
}

export function stateOf(state: KernelState | undefined): FusedState | undefined {
  if (state === undefined || state instanceof FusedState) return state;
  throw invalid('model.state', 'a state of another kernel', 'a state that this model made');
}

/** The place of each slot of each layer in a state. Every extent is known, since slots that grow have no fused form. */
export class StateLayout {
  /** Bytes of a state of one row. */
  readonly rowBytes: number;
  readonly #layers: readonly (readonly Place[])[];

  constructor(layers: readonly (readonly StateSlot[])[]) {
    let start = 0;
    this.#layers = layers.map((slots) =>
      slots.map(({ name, shape }) => {
        const bytes = sizeOf(shape as readonly number[]) * ELEMENT;
        const place = { name, start, bytes };
        start += bytes;
        return place;
      }),
    );
    this.rowBytes = start;
  }

  /** Addresses of a layer's slots in the state at address `state`; zeros where there is no state. */
  addresses(state: number, layer: number, batch: number): readonly number[] {
    return this.#layers[layer]!.map(({ start }) => (state === 0 ? 0 : state + batch * start));
  }

  /** Places of all slots, layer by layer. `start` and `bytes` are those of one row, and a batch multiplies both. */
  get layers(): readonly (readonly Place[])[] {
    return this.#layers;
  }
}

interface Place {
  readonly name: string;
  readonly start: number;
  readonly bytes: number;
}

export function copyState(heap: Heap, from: FusedState | undefined, to: Allocation): void {
  const target = heap.bytes(to, to.bytes);
  if (from === undefined) target.fill(0);
  else target.set(heap.bytes(from.memory, from.memory.bytes));
}

export function gatherState(heap: Heap, layout: StateLayout, rows: readonly KernelStateRow[]): FusedState {
  return heap.run((arena) => {
    const batch = rows.length;
    const memory = arena.result(layout.rowBytes * batch);
    const target = heap.bytes(memory, memory.bytes);
    for (const [to, { state, row }] of rows.entries()) {
      const source = stateOf(state)!;
      const values = heap.bytes(source.memory, source.memory.bytes);
      for (const { start, bytes } of layout.layers.flat()) {
        const from = source.batch * start + row * bytes;
        target.set(values.subarray(from, from + bytes), batch * start + to * bytes);
      }
    }
    return new FusedState(memory, batch);
  });
}

export function exportState(heap: Heap, layout: StateLayout, { memory, batch }: FusedState): readonly LayerSnapshot[] {
  const values = heap.floats(memory, (layout.rowBytes * batch) / ELEMENT);
  return layout.layers.map((places) =>
    Object.fromEntries(
      places.map(({ name, start, bytes }) => {
        const first = (batch * start) / ELEMENT;
        return [name, values.slice(first, first + (batch * bytes) / ELEMENT)];
      }),
    ),
  );
}

export function importState(
  heap: Heap,
  layout: StateLayout,
  snapshots: readonly LayerSnapshot[],
  batch: number,
): FusedState {
  return heap.run((arena) => {
    const memory = arena.result(layout.rowBytes * batch);
    const values = heap.floats(memory, (layout.rowBytes * batch) / ELEMENT);
    for (const [layer, places] of layout.layers.entries())
      for (const { name, start } of places) values.set(snapshots[layer]![name]!, (batch * start) / ELEMENT);
    return new FusedState(memory, batch);
  });
}
